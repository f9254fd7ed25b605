# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The fast path gives the numbers of the plain one, and dispatches few operations."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rsl_rl.algorithms import mini_batch
from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_combinations import CameraEnv
from tests.envs import PointEnv, point_config

BETA = {"class_name": "BetaDistribution", "action_range": (-2.0, 2.0)}
PER_SAMPLE = {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.5}
GRU = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 2}
LSTM = {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6}
RND = {"num_outputs": 2, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 10.0}
# What differs from the plainest case: (actor, critic, algorithm, extras of the environment).
CASES: dict[str, tuple[dict, dict, dict, str | None]] = {
    "mlp": ({}, {}, {}, None),
    "final observations": ({}, {}, {}, "final_obs"),
    "final observations of some": ({}, {}, {}, "terminal"),
    "standard deviation per sample": ({"distribution_cfg": PER_SAMPLE}, {}, {}, None),
    # Rounding decides whether equal beta distributions have a divergence, and the rate changes.
    "beta": ({"distribution_cfg": BETA}, {}, {"schedule": "fixed"}, None),
    "unclipped value": ({}, {}, {"use_clipped_value_loss": False, "value_loss_coef": 0.3}, None),
    "advantage per mini-batch": ({}, {}, {"normalize_advantage_per_mini_batch": True}, None),
    "gru and lstm": (GRU, LSTM, {}, "final_obs"),
    "gru and mlp": (GRU, {}, {}, None),
    "rnd": ({}, {}, {"rnd_cfg": RND}, None),
    "warm-up of the critic": ({}, {}, {"critic_warmup_iterations": 1}, None),
}


def trained(name: str, steps: int = 3, num_envs: int = 4, **top: Any) -> dict[str, torch.Tensor]:
    """Train for some iterations; return everything that was learned."""
    actor, critic, algorithm, final = CASES[name]
    config = point_config(**algorithm) | top
    config["obs_groups"] = config["obs_groups"] | {"rnd_state": ["policy"]}
    config["actor"], config["critic"] = config["actor"] | actor, config["critic"] | critic
    torch.manual_seed(0)
    runner = OnPolicyRunner(CameraEnv(num_envs, final=final), config)
    runner.learn(steps)
    return {
        f"{index}.{key}": value.clone()
        for index, model in enumerate(runner.alg._models())
        for key, value in model.state_dict().items()
    } | {"learning rate": torch.tensor(runner.alg.learning_rate)}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_the_plain_path(name: str) -> None:
    assert_same(trained(name), trained(name, fast_path="off"))


def test_pieces_of_a_mini_batch_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained("mlp")
    # 8 samples in pieces of 3, 3 and 2, and in pieces of 2.
    for largest in (16 * 3, 16 * 2):
        monkeypatch.setattr(mini_batch, "_NUMBERS_OF_PIECE", largest)
        assert_same(trained("mlp"), whole)


def test_mini_batches_of_models_that_mix_samples_are_not_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mini_batch, "_NUMBERS_OF_PIECE", 16 * 2)

    def learned(fast_path: str) -> torch.Tensor:
        torch.manual_seed(0)
        runner = OnPolicyRunner(PointEnv(4), point_config() | {"fast_path": fast_path})
        runner.alg.actor.mlp.insert(1, torch.nn.BatchNorm1d(runner.alg.actor.mlp[0].out_features, affine=False))
        runner.learn(2)
        return runner.alg.actor.mlp[0].weight.detach()

    torch.testing.assert_close(learned("auto"), learned("off"), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", ["mlp", "beta", "warm-up of the critic"])
def test_training_is_the_same_when_compiled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained(name, fast_path="off")
    monkeypatch.setattr(mini_batch, "_NUMBERS_OF_PIECE", 16 * 4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        assert_same(trained(name, torch_compile_mode="default"), plain)


def of_two_groups(config: dict) -> None:
    config["obs_groups"] = {"actor": ["policy", "privileged"], "critic": ["privileged", "policy"]}


def with_log_std(config: dict) -> None:
    config["actor"]["distribution_cfg"] = {"class_name": "GaussianDistribution", "init_std": 0.7, "std_type": "log"}


def with_fixed_std(config: dict) -> None:
    config["actor"]["distribution_cfg"] = {"class_name": "GaussianDistribution", "learn_std": False}


def without_normalization(config: dict) -> None:
    config["actor"]["obs_normalization"] = False


def frozen(runner: OnPolicyRunner) -> None:
    runner.alg.actor.mlp[0].requires_grad_(False)


def hooked(runner: OnPolicyRunner) -> None:
    runner.alg.actor.mlp[1].register_forward_hook(lambda module, inputs, output: 0.5 * output)


def with_other_losses(runner: OnPolicyRunner) -> None:
    own = runner.alg._mini_batch_losses
    runner.alg._mini_batch_losses = lambda batch: own(batch)._replace(total=2.0 * own(batch).total)


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize(
    ("configure", "change"),
    [
        *((configure, None) for configure in (of_two_groups, with_log_std, with_fixed_std, without_normalization)),
        *((None, change) for change in (frozen, hooked, with_other_losses)),
    ],
)
def test_the_compiled_step_sees_what_a_program_changes(configure: Any, change: Any) -> None:
    def learned(**top: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        config = point_config() | top
        if configure is not None:
            configure(config)
        runner = OnPolicyRunner(CameraEnv(), config)
        runner.learn(2)
        if change is not None:
            change(runner)
        runner.learn(2)
        return {f"{i}.{k}": v for i, m in enumerate(runner.alg._models()) for k, v in m.state_dict().items()}

    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        assert_same(learned(torch_compile_mode="default"), learned(fast_path="off"))


SLOWER = ["its losses and their gradients are compiled", "only its losses are compiled", "it is not compiled"]


@pytest.mark.parametrize("num_failing", [1, 2, 3])
def test_what_cannot_be_compiled_runs_the_next_slower_way(num_failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    order = iter(range(3))

    def refuse(function: Any, **options: Any) -> Any:
        def fail(*arguments: Any) -> Any:
            raise RuntimeError("no compiler here")

        # Fastest first; the others are not compiled at all here.
        return fail if next(order) < num_failing else function

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(UserWarning, match="cannot be compiled") as said:
        found = trained("mlp", torch_compile_mode="default")
    texts = [str(warning.message) for warning in said if "cannot be compiled" in str(warning.message)]
    assert [part in text for part, text in zip(SLOWER[:num_failing], texts, strict=True)] == [True] * num_failing
    assert all("no compiler here" in text for text in texts)
    assert_same(found, trained("mlp", fast_path="off"))


def test_a_compiler_that_gives_other_gradients_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def miscompile(function: Any, **options: Any) -> Any:
        def wrong(*arguments: Any) -> Any:
            numbers, gradients = function(*arguments)
            return numbers, [gradient * 1.01 for gradient in gradients]

        def also_wrong(*arguments: Any) -> Any:
            gradients, numbers = function(*arguments)
            return [gradient * 1.01 for gradient in gradients], numbers

        return {"mini_batch_gradients": wrong, "_gradients_of": also_wrong}.get(function.__name__, function)

    monkeypatch.setattr(torch, "compile", miscompile)
    with pytest.warns(UserWarning, match="gradients differ by"):
        found = trained("mlp", torch_compile_mode="default")
    assert_same(found, trained("mlp", fast_path="off"))


WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal")


class NoWaiting(TorchDispatchMode):
    """Refuses what would make the host wait for a device."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.removeprefix("aten::")
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        is_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        assert name not in WAITING, name
        assert not is_mask, f"{name} with a mask counts its entries"
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["mlp", "beta", "final observations", "rnd", "advantage per mini-batch"])
def test_no_step_and_no_mini_batch_waits_for_the_device(name: str) -> None:
    actor, _, algorithm, final = CASES[name]
    config = point_config(**algorithm)
    config["obs_groups"] = config["obs_groups"] | {"rnd_state": ["policy"]}
    config["actor"] = config["actor"] | actor
    runner = OnPolicyRunner(CameraEnv(final=final), config)
    runner.learn(2)
    alg, obs = runner.alg, runner.env.get_observations()
    with torch.inference_mode():
        outcomes = [runner.env.step(torch.zeros(4, 1)) for _ in range(8)]
    alg.whole_rollout.is_wanted = True
    with torch.inference_mode(), NoWaiting():
        for observations, rewards, dones, extras in outcomes:
            alg.act(observations)
            alg.process_env_step(observations, rewards, dones, extras)
            runner.logger.process_env_step(rewards, dones, extras, alg.intrinsic_rewards)
        alg.compute_returns(obs)
    # The one transfer at the end reads a list, which nothing dispatches.
    with NoWaiting():
        alg.update()


class Counting(TorchDispatchMode):
    """Counts what is dispatched, but for views."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = function._schema
        is_view = any(result.alias_info is not None and not result.alias_info.is_write for result in schema.returns)
        self.count += not is_view
        return function(*args, **(kwargs or {}))


# Operations per environment step, without the environment's own, and per mini-batch: they may only fall.
def test_operations_stay_within_their_budget() -> None:
    torch.manual_seed(0)
    env = PointEnv(16, max_episode_length=1000)
    runner = OnPolicyRunner(env, point_config(num_mini_batches=1, num_learning_epochs=1))
    runner.learn(2)

    def count(function: Any, *arguments: Any) -> int:
        with Counting() as counting:
            function(*arguments)
        return counting.count

    def of_environment() -> None:
        for _ in range(8):
            env.step(torch.zeros(16, 1))

    with torch.inference_mode():
        own = count(of_environment)
    obs = env.get_observations()
    collecting = count(runner._collect, obs, 0) - own
    runner.alg.num_learning_epochs = 3
    more = count(runner._learn_from, obs)
    runner._collect(obs, 0)
    runner.alg.num_learning_epochs = 1
    learning = more - count(runner._learn_from, obs)
    assert collecting / 8 < 29
    assert learning / 2 <= 154
