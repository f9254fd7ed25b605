# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Translation of old checkpoints: cases that the files of the releases do not show."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.compat.checkpoints import layout_of, modernize
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/model_1.pt"))


def same(one: Any, other: Any) -> bool:
    """Compare nested documents with tensors."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def model(keys: Iterable[str]) -> dict[str, torch.Tensor]:
    """One tensor of its own shape and numbers for every key."""
    return {key: torch.full((index + 1, 2), float(index)) for index, key in enumerate(keys)}


def adam(parameters: Iterable[torch.Tensor]) -> dict[str, Any]:
    """An optimizer state whose moments tell which parameter they belong to."""
    state = {
        index: {"step": torch.tensor(5.0), "exp_avg": value + 0.5, "exp_avg_sq": value + 0.25}
        for index, value in enumerate(parameters)
    }
    return {"state": state, "param_groups": [{"lr": 0.002, "betas": (0.9, 0.999), "params": list(range(len(state)))}]}


def moments(document: dict[str, Any]) -> list[float]:
    """Return to which number of :func:`model` each entry of the optimizer belongs."""
    state = document["optimizer_state_dict"]["state"]
    return [float(state[index]["exp_avg"].flatten()[0] - 0.5) for index in sorted(state)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_the_document_is_left_alone_and_translating_twice_changes_nothing_more(file: Path) -> None:
    document = torch.load(file, weights_only=True)
    before = copy.deepcopy(document)
    once = modernize(document)
    assert same(document, before)
    assert layout_of(once) is None
    assert same(modernize(once), once)
    if file.parent.name.startswith("v5"):
        assert same(once, document)


def test_a_recurrent_teacher_and_student_are_told_apart() -> None:
    keys = ["std", "memory_s.rnn.weight_ih_l0", "student.0.weight", "student_obs_normalizer._mean"]
    keys += ["memory_t.rnn.weight_ih_l0", "teacher.0.weight", "teacher_obs_normalizer._mean"]
    state = model(keys)
    # That optimizer held the student and the teacher.
    learned = [key for key in keys if "normalizer" not in key]
    new = modernize({"model_state_dict": state, "optimizer_state_dict": adam(state[key] for key in learned), "iter": 7})
    student, teacher = new["student_state_dict"], new["teacher_state_dict"]
    assert [key for key in student if "normalizer" not in key] == [
        "distribution.std_param",
        "mlp.0.weight",
        "rnn.rnn.weight_ih_l0",
    ]
    assert [key for key in teacher if "normalizer" not in key] == ["mlp.0.weight", "rnn.rnn.weight_ih_l0"]
    assert student["distribution.std_param"] is state["std"]
    assert teacher["rnn.rnn.weight_ih_l0"] is state["memory_t.rnn.weight_ih_l0"]
    assert moments(new) == [0.0, 2.0, 1.0]
    assert new["optimizer_state_dict"]["param_groups"][0]["params"] == [0, 1, 2]
    assert new["iter"] == 7


def test_image_encoders_are_told_apart() -> None:
    keys = ["std", "actor_cnns.camera.0.weight", "actor.0.weight", "critic_cnns.camera.0.weight", "critic.0.weight"]
    state = model(keys)
    new = modernize({"model_state_dict": state, "optimizer_state_dict": adam(state.values())})
    assert list(new["actor_state_dict"]) == ["distribution.std_param", "mlp.0.weight", "cnns.camera.0.weight"]
    assert new["critic_state_dict"]["cnns.camera.0.weight"] is state["critic_cnns.camera.0.weight"]
    assert moments(new) == [0.0, 2.0, 1.0, 4.0, 3.0]


def test_normalizers_beside_the_model_go_to_student_and_teacher() -> None:
    norm = {"_mean": torch.ones(1, 3), "_var": torch.ones(1, 3), "_std": torch.ones(1, 3), "count": torch.tensor(9)}
    other = norm | {"_mean": torch.zeros(1, 3)}
    new = modernize(
        {
            "model_state_dict": model(["std", "student.0.weight", "teacher.0.weight"]),
            "obs_norm_state_dict": norm,
            "privileged_obs_norm_state_dict": other,
        }
    )
    assert new["student_state_dict"]["obs_normalizer._mean"] is norm["_mean"]
    assert new["teacher_state_dict"]["obs_normalizer._mean"] is other["_mean"]
    assert not any("norm" in key for key in new)


@pytest.mark.parametrize("count", [9, 9.0, torch.tensor(9.0), torch.tensor([9], dtype=torch.int32), None])
def test_early_normalizers_are_completed(count: Any) -> None:
    norm: dict[str, Any] = {"_mean": torch.ones(3), "_var": torch.full((3,), 4.0)}
    if count is not None:
        norm["count"] = count
    document = {"model_state_dict": model(["std", "actor.0.weight"]), "obs_norm_state_dict": norm}
    actor = modernize(document)["actor_state_dict"]
    assert actor["obs_normalizer._mean"].shape == (1, 3)
    assert torch.equal(actor["obs_normalizer._std"], torch.full((1, 3), 2.0))
    saved = actor["obs_normalizer.count"]
    assert (saved.dtype, saved.shape) == (torch.int64, ())
    # Unknown: so many that the statistics outlast the next rollout.
    assert int(saved) == 9 if count is not None else int(saved) >= 100_000
    del norm["_mean"]
    actor = modernize(document)["actor_state_dict"]
    assert {"obs_normalizer._std", "obs_normalizer.count"} <= set(actor)


def test_an_optimizer_that_does_not_belong_to_the_model_starts_anew_with_its_learning_rate() -> None:
    state = model(["std", "actor.0.weight", "memory_a.rnn.weight", "critic.0.weight"])
    values = list(state.values())
    for wrong in (values[:3], values[::-1]):
        with pytest.warns(UserWarning, match="starts anew, with the saved learning rate") as caught:
            new = modernize({"model_state_dict": state, "optimizer_state_dict": adam(wrong)})
        assert len(caught) == 1
        assert new["optimizer_state_dict"]["state"] == {}
        (group,) = new["optimizer_state_dict"]["param_groups"]
        assert (group["lr"], group["params"]) == (0.002, [0, 1, 2, 3])


def test_a_model_of_somebody_else_is_explained() -> None:
    with pytest.raises(ValueError, match=r"cannot be translated: it holds encoder.weight\. .*policy class of your own"):
        modernize({"model_state_dict": model(["std", "actor.0.weight", "encoder.weight"])})


def trained(std_type: str) -> tuple[OnPolicyRunner, dict[str, Any]]:
    config = point_config()
    config["actor"]["distribution_cfg"]["std_type"] = std_type
    runner = OnPolicyRunner(PointEnv(), config)
    runner.learn(2)
    return runner, runner.alg.save()


@pytest.mark.parametrize(("saved_as", "kept_as"), [("scalar", "log"), ("log", "scalar")])
def test_a_standard_deviation_is_given_as_the_model_keeps_it(saved_as: str, kept_as: str) -> None:
    source, document = trained(saved_as)
    before = copy.deepcopy(document)
    target, _ = trained(kept_as)
    target.alg.load(document)
    assert same(document, before)
    obs = PointEnv().get_observations()
    for runner in (source, target):
        runner.alg.act(obs)
    torch.testing.assert_close(target.alg.actor.output_std, source.alg.actor.output_std)

    # The moments by the chain rule, checked with gradients of the same loss.
    gradients = []
    for runner in (source, target):
        runner.alg.actor.zero_grad()
        runner.alg.actor(obs, stochastic_output=True)
        runner.alg.actor.output_std.square().sum().backward()
        (parameter,) = runner.alg.actor.distribution.parameters()
        gradients.append((parameter.grad, runner.alg.optimizer.state[parameter]))
    (old_gradient, old_state), (new_gradient, new_state) = gradients
    ratio = new_gradient / old_gradient
    torch.testing.assert_close(new_state["exp_avg"], old_state["exp_avg"] * ratio)
    torch.testing.assert_close(new_state["exp_avg_sq"], old_state["exp_avg_sq"] * ratio.square())


def test_a_program_may_hand_an_old_document_to_the_algorithm() -> None:
    _, document = trained("scalar")
    old = {f"actor.{key.removeprefix('mlp.')}": value for key, value in document["actor_state_dict"].items()}
    old = {key.replace("actor.obs_normalizer", "actor_obs_normalizer"): value for key, value in old.items()}
    old["std"] = old.pop("actor.distribution.std_param")
    for key, value in document["critic_state_dict"].items():
        name = key.replace("mlp.", "critic.").replace("obs_normalizer", "critic_obs_normalizer")
        old[name] = value
    fresh = OnPolicyRunner(PointEnv(), point_config())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fresh.alg.load({"model_state_dict": old}, {"actor": True, "critic": True}) is False
    assert same(dict(fresh.alg.actor.state_dict()), dict(document["actor_state_dict"]))
    assert same(dict(fresh.alg.critic.state_dict()), dict(document["critic_state_dict"]))
