# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every engine gives the numbers of the eager step, and the eager step dispatches few operations."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

from rsl_rl.algorithms import PPO
from rsl_rl.learning import engines
from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_combinations import CameraEnv, build, distillation_config, rollout
from tests.distributed.equivalence import negate
from tests.envs import PointEnv, point_config
from tests.learning.graphs import WAITING

BETA = {"class_name": "BetaDistribution", "action_range": (-2.0, 2.0)}
PER_SAMPLE = {"class_name": "HeteroscedasticGaussianDistribution", "init_std": 0.5}
GRU = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 2}
LSTM = {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6}
RND = {"num_outputs": 2, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 10.0}
# Not Adam: images cancel the gradients of some biases, and it would divide what rounding leaves by itself.
EQUIVARIANT = {"optimizer": "sgd", "symmetry_cfg": {"data_augmentation_func": negate, "equivariant": True}}
HALF_CYCLE = {"symmetry_cfg": {"data_augmentation_func": negate, "half_cycle": {"policy": 1}}}
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
    "equivariant": ({}, {}, EQUIVARIANT, None),
    "half cycle": ({}, {}, HALF_CYCLE, None),
    "equivariant gru and lstm": (GRU, LSTM, EQUIVARIANT, "final_obs"),
    "warm-up of the critic": ({}, {}, {"critic_warmup_iterations": 1}, None),
}


def runner_of(name: str, num_envs: int = 4, **top: Any) -> OnPolicyRunner:
    actor, critic, algorithm, final = CASES[name]
    config = point_config(**algorithm) | top
    config["obs_groups"] = config["obs_groups"] | {"rnd_state": ["policy"]}
    config["actor"], config["critic"] = config["actor"] | actor, config["critic"] | critic
    torch.manual_seed(0)
    return OnPolicyRunner(CameraEnv(num_envs, final=final), config)


def learned_by(runner: OnPolicyRunner) -> dict[str, torch.Tensor]:
    """Return everything that was learned."""
    tensors = {
        f"{name}.{key}": value.clone()
        for name, model in runner.alg.models().items()
        for key, value in model.state_dict().items()
    }
    return tensors | {"learning rate": torch.tensor(runner.alg.learning_rate)}


Change = Callable[[OnPolicyRunner], Any]


def trained(name: str, *changes: Change, steps: int = 3, **top: Any) -> dict[str, torch.Tensor]:
    """Train for some iterations, and for one more after each change; return everything that was learned."""
    runner = runner_of(name, **top)
    runner.learn(steps)
    for change in changes:
        change(runner)
        runner.learn(1)
    return learned_by(runner)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


# -- pieces --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The numbers of samples that PPO's loss was asked for."""
    seen, loss = set[int](), PPO.loss
    monkeypatch.setattr(PPO, "loss", lambda self, batch: seen.add(len(batch.actions)) or loss(self, batch))
    return seen


# 16 samples in equal pieces of at most 5, 13 in unequal ones.
@pytest.mark.parametrize("top", [{}, {"num_envs": 2, "num_steps_per_env": 13}], ids=["equal", "unequal"])
@pytest.mark.parametrize("name", [name for name in CASES if "gru" not in name])
def test_pieces_of_a_mini_batch_add_up(
    name: str, top: dict[str, int], sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rounding decides whether equal policies have a divergence, and the rate of a first mini-batch changes.
    monkeypatch.setitem(CASES, name, (*CASES[name][:2], CASES[name][2] | {"schedule": "fixed"}, *CASES[name][3:]))
    whole = trained(name, fast_path="off", **top)
    sizes.clear()
    monkeypatch.setattr(engines, "NUMBERS_IN_PIECE", 16 * 5)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Mini-batches are not taken in pieces")
        assert_same(trained(name, **top), whole)
    assert sizes == ({13, 5, 3} if top else {16, 4})  # whole ones for the proof


def test_trajectories_are_not_divided(sizes: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "NUMBERS_IN_PIECE", 1)
    trained("gru and mlp", steps=1)
    assert sizes == {8}


def test_mini_batches_of_models_that_mix_samples_are_not_divided(
    sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "NUMBERS_IN_PIECE", 16 * 2)
    runner = runner_of("mlp")
    runner.alg.actor.mlp.insert(1, torch.nn.BatchNorm1d(runner.alg.actor.mlp[0].out_features, affine=False))
    runner.learn(2)
    assert sizes == {16}


def with_a_sum(runner: OnPolicyRunner) -> None:
    loss = runner.alg.loss

    def summed(batch: Any) -> Any:
        total, metrics = loss(batch)
        return len(batch.actions) * total, metrics

    runner.alg.loss = summed


def test_a_loss_that_is_no_mean_over_samples_is_found_out_and_not_divided(
    sizes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained("mlp", with_a_sum, steps=0, fast_path="off")
    sizes.clear()
    monkeypatch.setattr(engines, "NUMBERS_IN_PIECE", 16 * 2)
    with pytest.warns(UserWarning, match="Mini-batches are not taken in pieces, which is slower. Its gradients differ"):
        found = trained("mlp", with_a_sum, steps=0)
    assert_same(found, expected)
    runner = runner_of("mlp")
    with_a_sum(runner)
    with pytest.warns(UserWarning, match="not taken in pieces"):
        runner.learn(1)
    sizes.clear()
    runner.learn(1)
    assert sizes == {16}


# -- torch.compile -------------------------------------------------------------------------------------------------

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace like torch.compile, which takes most of its time to generate code, and run the trace as it is."""
    own = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, mode, dynamic: own(function, backend="eager", dynamic=dynamic)
    )


@needs_compiler
def test_training_is_the_same_when_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained("beta", fast_path="off")
    monkeypatch.setattr(engines, "NUMBERS_IN_PIECE", 16 * 4)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        assert_same(trained("beta", torch_compile_mode="default"), plain)


def freeze(runner: OnPolicyRunner) -> None:
    runner.alg.actor.mlp[0].requires_grad_(False)


def hook(runner: OnPolicyRunner) -> None:
    runner.alg.actor.mlp[1].register_forward_hook(lambda module, inputs, output: 0.5 * output)


def change_the_loss(runner: OnPolicyRunner) -> None:
    loss = runner.alg.loss
    runner.alg.loss = lambda batch: (2.0 * loss(batch)[0], loss(batch)[1])


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize(("name", "changes"), [("mlp", (freeze, hook, change_the_loss)), ("gru and mlp", (hook,))])
def test_a_compiled_training_sees_what_a_program_changes(name: str, changes: tuple[Change, ...]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        found = trained(name, *changes, steps=1, torch_compile_mode="default")
    assert_same(found, trained(name, *changes, steps=1, fast_path="off"))


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize("name", ["warm-up of the critic", "rnd"])
def test_parameters_that_rest_or_have_their_own_optimizer_are_compiled(name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        found = trained(name, steps=2, torch_compile_mode="default")
    assert_same(found, trained(name, steps=2, fast_path="off"))


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.parametrize("name", ["equivariant", "half cycle", "equivariant gru and lstm"])
def test_symmetric_models_are_compiled(name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        found = trained(name, steps=2, torch_compile_mode="default")
    assert_same(found, trained(name, steps=2, fast_path="off"))


@pytest.mark.usefixtures("without_compiler")
def test_a_distillation_is_compiled() -> None:
    states = []
    for mode in ("default", None):
        env = PointEnv()
        alg = build(env, distillation_config("mlp", gradient_length=4))
        alg.compile(mode)
        for _ in range(2):
            rollout(alg, env)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "The mini-batch cannot be compiled")
                alg.update()
        states.append(alg.student.state_dict())
    assert_same(*states)


def test_what_cannot_be_compiled_is_computed_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(function: Any, **options: Any) -> Any:
        def fail(*arguments: Any) -> Any:
            raise RuntimeError("no compiler here")

        return fail

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(UserWarning, match="cannot be compiled.*no compiler here") as said:
        found = trained("mlp", torch_compile_mode="default")
    assert sum("cannot be compiled" in str(warning.message) for warning in said) == 1
    assert_same(found, trained("mlp", fast_path="off"))


def test_a_compiler_that_gives_other_gradients_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def miscompile(function: Any, **options: Any) -> Any:
        def wrong(batch: Any) -> Any:
            loss, metrics = function(batch)
            return 1.01 * loss, metrics

        return wrong

    monkeypatch.setattr(torch, "compile", miscompile)
    with pytest.warns(UserWarning, match="gradients differ by") as said:
        found = trained("mlp", torch_compile_mode="default")
    assert sum("cannot be compiled" in str(warning.message) for warning in said) == 1
    assert_same(found, trained("mlp", fast_path="off"))


@pytest.mark.usefixtures("without_compiler")
@pytest.mark.skipif(torch.__version__ < "2.10", reason="older releases mind more than shapes")
def test_rollouts_with_other_numbers_of_trajectories_are_not_compiled_again() -> None:
    config = point_config(num_mini_batches=2, num_learning_epochs=1) | {"torch_compile_mode": "default"}
    config["actor"] |= {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 4}
    runner = OnPolicyRunner(PointEnv(num_envs=12, max_episode_length=5), config)
    runner.learn(3, init_at_random_ep_len=True)
    compiled, numbers = counters["stats"]["unique_graphs"], set()
    generator = runner.alg.storage.recurrent_mini_batch_generator

    def watched(*arguments: int) -> Any:
        for batch in generator(*arguments):
            numbers.add(batch.masks.shape[1])  # type: ignore[union-attr]
            yield batch

    runner.alg.storage.recurrent_mini_batch_generator = watched  # type: ignore[method-assign]
    runner.learn(12)
    assert len(numbers) > 3
    assert compiled > 0
    assert counters["stats"]["unique_graphs"] == compiled


def fade(entropy_coef: float, clip_param: float, max_grad_norm: float) -> Callable[[OnPolicyRunner], None]:
    """Return what changes options, as programs do that let the exploration fade."""

    def change(runner: OnPolicyRunner) -> None:
        alg = runner.alg
        alg.entropy_coef, alg.clip_param, alg.max_grad_norm = entropy_coef, clip_param, max_grad_norm

    return change


FADING = (fade(0.5, 0.3, 1.0), fade(0.4, 0.1, 0.3), fade(0.0, 0.05, 0.1))


@pytest.mark.usefixtures("without_compiler")
def test_other_coefficients_are_learned_from_without_being_compiled_again() -> None:
    numbers = []
    found = trained(
        "mlp",
        lambda runner: numbers.append(counters["stats"]["unique_graphs"]),
        *FADING,
        steps=1,
        torch_compile_mode="default",
    )
    assert counters["stats"]["unique_graphs"] == numbers[0] > 0
    assert_same(found, trained("mlp", lambda runner: None, *FADING, steps=1))


@pytest.mark.usefixtures("without_compiler")
def test_every_training_of_a_process_is_compiled() -> None:
    # torch gives up on a function that was compiled too often.
    with torch._dynamo.config.patch(cache_size_limit=1):
        for num_envs in (4, 6, 8):
            compiled = counters["stats"]["unique_graphs"]
            OnPolicyRunner(PointEnv(num_envs), point_config() | {"torch_compile_mode": "default"}).learn(1)
            assert counters["stats"]["unique_graphs"] > compiled


# -- what it costs -------------------------------------------------------------------------------------------------


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
    runner = runner_of(name)
    runner.learn(2)
    alg, obs = runner.alg, runner.env.get_observations()
    with torch.inference_mode():
        outcomes = [runner.env.step(torch.zeros(4, 1)) for _ in range(8)]
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
    collecting = count(runner._collect, obs) - own
    runner.alg.num_learning_epochs = 3
    more = count(runner.alg.update)
    runner._collect(obs)
    runner.alg.num_learning_epochs = 1
    learning = more - count(runner.alg.update)
    assert collecting / 8 < 48
    assert learning / 2 <= 208
