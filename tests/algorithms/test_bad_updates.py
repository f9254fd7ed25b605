# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A mini-batch without a finite loss and gradient changes nothing; too many undo what led there."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import pytest
import torch

from rsl_rl.modules import GaussianDistribution, HeteroscedasticGaussianDistribution
from tests.algorithms.test_combinations import RND, CameraEnv, build, config, distillation_config, rollout

CONFIGS = {
    "mlp": config(),
    "lstm": config("lstm", "lstm"),
    "cnn": config("cnn", "cnn"),
    "rnd": config(rnd_cfg=RND),
    "distillation": distillation_config("gru"),
    **{name: config(optimizer=name) for name in ("adamw", "sgd", "rmsprop")},
}


def learned(alg: Any) -> dict[str, torch.Tensor]:
    """Everything that an update may change but the normalizers, by name."""
    state = {
        f"{index}.{name}": tensor
        for index, model in enumerate(alg.models().values())
        for name, tensor in model.state_dict().items()
        if "normalizer" not in name
    }
    for index, optimizer in enumerate(alg.gradient_step.optimizers):
        for key, entry in optimizer.state_dict()["state"].items():
            state |= {f"optimizer {index}.{key}.{name}": value for name, value in entry.items()}
    state["learning rate"] = torch.tensor(alg.learning_rate)
    return copy.deepcopy(state)


def spoil_gradients(alg: Any, calls: set[int], value: float) -> None:
    """Make the gradient of the policy's first layer bad in some backward passes, counted from 0."""
    count = iter(range(10**6))
    layer = next(p for name, p in alg.get_policy().named_parameters() if name.endswith("weight"))
    layer.register_hook(lambda gradient: gradient * value if next(count) in calls else gradient)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("kind", CONFIGS)
def test_bad_mini_batches_change_nothing(kind: str, value: float) -> None:
    env = CameraEnv()
    alg = build(env, CONFIGS[kind])
    rollout(alg, env)
    alg.update()  # The optimizer has its state from now on.
    before = learned(alg)
    spoil_gradients(alg, set(range(100)), value)
    rollout(alg, env)
    with pytest.warns(UserWarning, match=r"\d of \d mini-batches had a loss or gradient that is not finite"):
        losses = alg.update()
    after = learned(alg)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert all(math.isnan(loss) for loss in losses.values())
    assert alg.metrics["Update/skipped"] > 0


def test_a_bad_mini_batch_does_not_move_the_learning_rate() -> None:
    env = CameraEnv()
    # After the first step any KL divergence is too large, and would lower the rate.
    alg = build(env, config(learning_rate=1e-2, desired_kl=1e-9))
    spoil_gradients(alg, {1, 2, 3}, math.nan)
    rollout(alg, env)
    with pytest.warns(UserWarning, match="3 of 4 mini-batches"):
        alg.update()
    assert alg.learning_rate == 1e-2
    rollout(alg, env)
    alg.update()
    assert alg.learning_rate < 1e-2


def test_the_first_mini_batch_of_all_may_be_bad() -> None:
    for name in ("adam", "sgd", "rmsprop"):
        env = CameraEnv()
        alg = build(env, config(optimizer=name))
        spoil_gradients(alg, {0}, math.nan)
        rollout(alg, env)
        with pytest.warns(UserWarning, match="1 of 4 mini-batches"):
            losses = alg.update()
        assert all(value.isfinite().all() for value in learned(alg).values())
        assert all(math.isfinite(loss) for loss in losses.values())
        assert alg.metrics["Update/skipped"] == 1.0


@pytest.mark.parametrize("kind", ["mlp", "lstm", "rnd", "distillation", "rmsprop"])
def test_too_many_in_a_row_restore_the_last_good_state_and_halve_the_learning_rate(kind: str) -> None:
    env, cfg = CameraEnv(), copy.deepcopy(CONFIGS[kind])
    cfg["algorithm"] |= {"max_bad_updates": 3}
    alg = build(env, cfg)
    states = []
    for _ in range(3):
        states.append(learned(alg))
        rollout(alg, env)
        alg.update()
    rate = alg.learning_rate
    with torch.no_grad():  # A state from which nothing good comes.
        for parameter in alg.get_policy().mlp.parameters():
            parameter.fill_(1e30)
    rollout(alg, env)
    with pytest.warns(UserWarning, match=r"last good parameters, .* restored, and the learning rate is halved"):
        alg.update()
    assert alg.learning_rate == pytest.approx(rate / 2)
    # The second update started from it and went well: that proves it.
    restored = learned(alg)
    del restored["learning rate"]
    assert [name for name, value in restored.items() if not torch.equal(value, states[2][name])] == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rollout(alg, env)
        assert all(math.isfinite(loss) for loss in alg.update().values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_broken_optimizer_is_restored(value: float) -> None:
    env = CameraEnv()
    alg = build(env, config())
    for _ in range(3):
        rollout(alg, env)
        alg.update()
    first = alg.optimizer.param_groups[0]["params"][-1]
    alg.optimizer.state[first]["exp_avg"].view(-1)[0] = value
    rollout(alg, env)
    with pytest.warns(UserWarning, match="Parameters, statistics or optimizer are not finite. The last good"):
        alg.update()
    assert all(tensor.isfinite().all() for tensor in learned(alg).values())


@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("direction", [-1.0, 1.0], ids=["down", "up"])
def test_the_standard_deviation_stays_in_its_range_and_comes_back(std_type: str, direction: float) -> None:
    env, cfg = CameraEnv(), config(optimizer="sgd", schedule="fixed", learning_rate=1.0, max_grad_norm=1e9)
    spread = {"class_name": "GaussianDistribution", "std_type": std_type, "std_range": (0.1, 2.0), "init_std": 1.0}
    cfg["actor"] |= {"distribution_cfg": spread}
    alg = build(env, cfg)
    (parameter,) = alg.actor.distribution.parameters()

    def pull(by: float) -> float:
        """Let the loss pull at the parameter; return where it is after an update."""
        loss = alg.loss
        pulling = lambda: -by * alg.actor.distribution.given(torch.zeros(1, 1)).std.sum()  # noqa: E731
        alg.loss = lambda batch: (pulling(), loss(batch)[1])
        rollout(alg, env)
        alg.update()
        return float(alg.actor.distribution.given(torch.zeros(1, 1)).std.detach())

    end = 2.0 if direction > 0 else 0.1
    assert pull(1000.0 * direction) == pytest.approx(end, rel=2e-6)
    low, high = (0.1, 2.0) if std_type == "scalar" else (math.log(0.1), math.log(2.0))
    assert low - 1e-6 <= float(parameter.detach()) <= high + 1e-6
    # Not trapped there: a clamp has no gradient outside of its range.
    assert pull(-0.01 * direction) == pytest.approx(end, rel=0.5)
    assert abs(pull(-0.01 * direction) - end) > 1e-4


@pytest.mark.parametrize("low", [1e-6, 0.05, 0.1, 0.3])
def test_the_ends_of_a_logarithmic_range_keep_their_gradient(low: float) -> None:
    for end in ("low", "high"):
        distribution = GaussianDistribution(1, std_type="log", std_range=(low, 1.7 + low))
        with torch.no_grad():
            distribution.log_std_param.fill_(-1e3 if end == "low" else 1e3)
        distribution.project()
        distribution.given(torch.zeros(1, 1)).std.sum().backward()
        assert distribution.log_std_param.grad.item() > 0


@pytest.mark.parametrize(("std_type", "output"), [("scalar", -3.0), ("scalar", 50.0), ("log", -200.0), ("log", 90.0)])
def test_a_state_dependent_standard_deviation_is_led_back_into_its_range(std_type: str, output: float) -> None:
    distribution = HeteroscedasticGaussianDistribution(1, std_type=std_type, std_range=(0.1, 2.0))
    gradients = []
    for sign in (1.0, -1.0):
        mlp_output = torch.tensor([[[0.0], [output]]], requires_grad=True)
        std = distribution.given(mlp_output).std
        assert 0.1 - 1e-6 <= std.item() <= 2.0 + 1e-6
        (sign * std.sum()).backward()
        gradients.append(mlp_output.grad[0, 1, 0].item())
    # Descent moves against the gradient: up from below, down from above, and never further out.
    inwards = min(gradients) if output < 0 else max(gradients)
    assert inwards == pytest.approx(max(map(abs, gradients)) * (-1 if output < 0 else 1))
    assert inwards != 0
    assert 0.0 in [abs(gradient) for gradient in gradients]
