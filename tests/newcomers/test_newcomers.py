# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Changes that somebody who has just come makes in a small file of their own: everything else works by itself."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch._dynamo.utils import counters

from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.history import read_metrics
from tests.envs import PointEnv, point_config
from tests.learning.graphs import Graphs

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def runner_of(config: dict[str, Any], folder: Path | None = None, env: PointEnv | None = None) -> OnPolicyRunner:
    torch.manual_seed(0)
    return OnPolicyRunner(env or PointEnv(8), config, None if folder is None else str(folder))


def state(runner: OnPolicyRunner) -> dict[str, Any]:
    """Return everything that a checkpoint has of the algorithm, flat."""
    found: dict[str, Any] = {}

    def visit(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{name}.{key}")
        elif isinstance(value, (list, tuple)):
            visit(dict(enumerate(value)), name)
        else:
            found[name] = copy.deepcopy(value)

    visit(runner.alg.save(), "")
    return found


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        same = torch.equal(found[name], value) if torch.is_tensor(value) else found[name] == value
        assert same, name


def assert_resumes_exactly(config: dict[str, Any], folder: Path) -> OnPolicyRunner:
    """Train four iterations at once, and two and two with a checkpoint between them; return the latter."""
    config["logger"] = None
    whole = runner_of(config)
    whole.learn(4)
    first = runner_of(config, folder)
    first.learn(2)
    resumed = OnPolicyRunner(PointEnv(8, seed=5), config)
    resumed.load(str(folder / "model_1.pt"))
    assert_equal(state(resumed), state(first))
    resumed.learn(2)
    assert_equal(state(resumed), state(whole))
    return resumed


# -- an entropy schedule -------------------------------------------------------------------------------------------


FADING = "fading_entropy:FadingEntropy"


def test_an_entropy_schedule_goes_on_after_a_resume(tmp_path: Path) -> None:
    resumed = assert_resumes_exactly(point_config(class_name=FADING, entropy_coef=0.5), tmp_path)
    assert resumed.alg.entropy_coef == pytest.approx(0.5 * 0.8**4)  # type: ignore[attr-defined]


def test_an_entropy_schedule_changes_what_is_learned() -> None:
    fading, constant = (runner_of(point_config(class_name=name, entropy_coef=0.5)) for name in (FADING, "PPO"))
    for runner in (fading, constant):
        runner.learn(1)
    name = ".actor_state_dict.distribution.std_param"
    assert not torch.equal(state(fading)[name], state(constant)[name])


def test_an_entropy_schedule_compiles_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is traced is what counts; to generate code of it takes long.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    runner = runner_of(point_config(class_name=FADING) | {"torch_compile_mode": "default"})
    runner.learn(2)
    compiled = counters["stats"]["unique_graphs"]
    assert compiled > 0
    runner.learn(2)
    assert counters["stats"]["unique_graphs"] == compiled


def test_an_entropy_schedule_captures_nothing_again_and_reaches_the_graph() -> None:
    graphs, states = Graphs(), []
    for is_captured in (True, False):
        runner = runner_of(point_config(class_name=FADING, entropy_coef=0.5, num_learning_epochs=4))
        if is_captured:
            runner.alg.gradient_step.capture(graphs)  # type: ignore[union-attr]
        runner.learn(4)
        states.append(state(runner))
    assert graphs.captures == 1
    assert_equal(*states)


# -- an optimizer --------------------------------------------------------------------------------------------------


OPTIMIZERS = ["nadam", "signed_momentum:SignedMomentum"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_trains_and_resumes_exactly(name: str, tmp_path: Path) -> None:
    before = state(runner_of(point_config(optimizer=name)))
    resumed = assert_resumes_exactly(point_config(optimizer=name), tmp_path)
    assert type(resumed.alg.optimizer).__name__.lower() == name.split(":")[-1].lower()
    after = state(resumed)
    assert all(not torch.equal(after[key], before[key]) for key in after if key.endswith("mlp.0.weight"))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("iteration", [0, 1])
def test_an_optimizer_skips_bad_mini_batches(name: str, iteration: int) -> None:
    """Those of a whole iteration: what follows is as if there had been none, also where it is the first."""

    def learned(spoilt: int | None) -> dict[str, Any]:
        config = point_config(optimizer=name, schedule="fixed")
        # Statistics of observations are kept, also where nothing is learned.
        config["actor"]["obs_normalization"] = config["critic"]["obs_normalization"] = False
        runner = runner_of(config, env=Frozen(8))
        law = runner.alg.loss
        seen: list[float] = []
        for index in range(2 if spoilt is None else 3):
            factor = torch.nan if index == spoilt else 1.0
            runner.alg.loss = lambda batch, factor=factor: (law(batch)[0] * factor, law(batch)[1])  # type: ignore[method-assign]
            torch.manual_seed(0)
            if index == spoilt:
                with pytest.warns(UserWarning, match="4 of 4 mini-batches"):
                    runner.learn(1)
            else:
                runner.learn(1)
            seen.append(runner.alg.metrics["Update/skipped"])
        assert seen == [4.0 if index == spoilt else 0.0 for index in range(len(seen))]
        found = state(runner)
        return {key: value for key, value in found.items() if "process_state" not in key}

    assert_equal(learned(iteration), learned(None))


class Frozen(PointEnv):
    """Where nothing ever changes, so that a rollout depends on the policy and the seed alone."""

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        rewards = -(actions[:, 0] - 1.0).square()
        return self.get_observations(), rewards, torch.zeros(self.num_envs, dtype=torch.bool), {}


# -- an algorithm of another kind ----------------------------------------------------------------------------------


def replay_config(**options: Any) -> dict[str, Any]:
    return {
        "num_steps_per_env": 8,
        "save_interval": 100,
        "obs_groups": {"actor": ["policy"]},
        "algorithm": {"class_name": "replay_gradient:ReplayGradient", **options},
    }


class Following(PointEnv):
    """The action is to be where the point is: a reward that comes at once, so that little training suffices."""

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        rewards = -(actions[:, 0] - self._state[:, 0]).square()
        obs, _, dones, extras = super().step(actions)
        return obs, rewards, dones, extras


def mean_reward(runner: OnPolicyRunner) -> float:
    env, total = Following(64, seed=3), 0.0
    policy = runner.get_inference_policy()
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(20):
            obs, rewards, _, _ = env.step(policy(obs))
            total += float(rewards.mean()) / 20
    return total


def test_the_algorithm_is_one_small_file() -> None:
    licence, program = (HERE / "replay_gradient.py").read_text().split("\n\n", 1)
    assert licence.count("\n") == 1
    assert program.count("\n") <= 80


def test_an_algorithm_with_a_replay_buffer_learns_and_logs(tmp_path: Path) -> None:
    runner = runner_of(replay_config(), tmp_path, Following(16))
    before = mean_reward(runner)
    runner.learn(15)
    assert mean_reward(runner) > 0.3 * before
    logged = read_metrics(tmp_path)
    assert {"Loss/critic", "Loss/actor", "Replay/size", "Train/mean_reward"} <= set(logged)


def test_an_algorithm_with_a_replay_buffer_resumes_exactly(tmp_path: Path) -> None:
    resumed = assert_resumes_exactly(replay_config(updates=3), tmp_path)
    assert resumed.alg.replay.num_added == 4 * 8 * 8  # type: ignore[attr-defined]


def test_an_algorithm_with_a_replay_buffer_survives_numbers_that_are_not_finite() -> None:
    class Failing(PointEnv):
        def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
            obs, rewards, dones, extras = super().step(actions)
            obs["policy"][2], rewards[3] = torch.nan, torch.inf
            return obs, rewards, dones, extras

    runner = runner_of(replay_config(updates=3) | {"nonfinite": "recover"}, env=Failing(8))
    with pytest.warns(UserWarning, match="NaN or infinite"):
        runner.learn(3)
    assert all(value.isfinite().all() for value in runner.alg.replay.rings.values())  # type: ignore[attr-defined]
    assert all(parameter.isfinite().all() for parameter in runner.alg.get_policy().parameters())


def test_an_algorithm_with_a_replay_buffer_is_exported(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    runner = runner_of(replay_config(updates=3))
    runner.learn(1)
    runner.export_policy_to_onnx(str(tmp_path))
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    obs = PointEnv(1, seed=4).get_observations()
    (found,) = session.run(None, {session.get_inputs()[0].name: obs["policy"].numpy()})
    torch.testing.assert_close(torch.from_numpy(found), runner.get_inference_policy()(obs).detach())
