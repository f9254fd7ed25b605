# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluations during training change nothing but what is known about it, and which checkpoint is the best."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from rsl_rl.checkpoint import CheckpointFolder, read_checkpoint, write_checkpoint
from rsl_rl.cli.main import main
from rsl_rl.config.task import read_task
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.runners.evaluation import Evaluation
from tests.algorithms.test_combinations import CameraEnv
from tests.cli.test_commands import SMALL, fails
from tests.env.toys import register
from tests.envs import PointEnv, point_config
from tests.runners.test_resume import CONFIGS, differences, runner_of
from tests.telemetry.test_logger import rows

register()
CHOSEN = (".best_reward", ".best_by")


class Greedy(CameraEnv):
    """Draws from every global generator, when it is made and in every step, and writes into what it was given."""

    def __init__(self, num_envs: int = 3) -> None:
        super().__init__(num_envs)
        self._draw()

    def _draw(self) -> float:
        return random.random() + float(np.random.rand()) + torch.rand(1).item()

    def step(self, actions: torch.Tensor) -> tuple:
        noise = self._draw()
        outcome = super().step(actions + noise)
        actions.fill_(7.0)
        return outcome


def table(folder: Path, without: tuple[str, ...] = ("Perf/",)) -> list[dict[str, str]]:
    return [{tag: value for tag, value in row.items() if not tag.startswith(without)} for row in rows(folder)]


def checkpoint(folder: Path, name: str) -> dict[str, Any]:
    return torch.load(folder / f"{name}.pt", weights_only=True)


def small_runner(folder: Path | None, **keys: Any) -> OnPolicyRunner:
    cfg = point_config() | {"save_interval": 100, "logger": None} | keys
    return OnPolicyRunner(PointEnv(), cfg, log_dir=None if folder is None else str(folder))


@pytest.mark.parametrize("kind", ["mlp", "lstm", "cnn", "rnd", "distillation"])
def test_the_training_is_the_same_with_and_without(kind: str, tmp_path: Path) -> None:
    runner_of(CONFIGS[kind], tmp_path / "without", seed=1).learn(6)
    runner = runner_of(CONFIGS[kind], tmp_path / "with", seed=1)
    runner.evaluate_with(Greedy, interval=2, episodes=5)
    runner.learn(6)
    one, other = (checkpoint(tmp_path / run, "model_5") for run in ("without", "with"))
    assert all(line.startswith(CHOSEN) for line in differences(one, other))
    assert table(tmp_path / "without") == table(tmp_path / "with", without=("Perf/", "Eval/"))
    evaluated = [bool(row["Eval/mean_return"]) for row in rows(tmp_path / "with")]
    assert evaluated == [True, False, True, False, True, True]
    assert [bool(row["Perf/evaluation_time"]) for row in rows(tmp_path / "with")] == evaluated


def test_it_plays_the_deterministic_policy_of_its_iteration_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = small_runner(tmp_path, save_interval=1)
    runner.evaluate_with(lambda: PointEnv(2, seed=9), interval=3, episodes=4)
    runner.learn(5)
    printed = [line for line in capsys.readouterr().out.splitlines() if "evaluated:" in line]
    assert len(printed) == 3
    for row, number in zip([rows(tmp_path)[index] for index in (0, 3, 4)], (0, 3, 4), strict=True):
        other = small_runner(None)
        other.load(str(tmp_path / f"model_{number}.pt"))
        by_hand = play_episodes(PointEnv(2, seed=9), other.get_inference_policy(), 4)
        assert float(row["Eval/mean_return"]) == pytest.approx(np.mean(by_hand.returns), rel=1e-6)
        assert float(row["Eval/return_std"]) == pytest.approx(np.std(by_hand.returns), rel=1e-4)
        assert float(row["Eval/mean_episode_length"]) == np.mean(by_hand.lengths)


class Scripted(PointEnv):
    """Every environment made is rewarded with the next number of a list; success and an error are said as well."""

    rewards: list[float]

    def __init__(self) -> None:
        super().__init__(2, max_episode_length=4)
        self.reward = self.rewards.pop(0)

    def step(self, actions: torch.Tensor) -> tuple:
        obs, _, dones, extras = super().step(actions)
        extras |= {"success": torch.tensor([1, 0]), "log": {"error_vel": 0.5}}
        return obs, torch.full((2,), self.reward), dones, extras

    def state_dict(self) -> dict:
        raise NotImplementedError


def test_the_best_checkpoint_is_that_of_the_highest_return_of_an_evaluation(tmp_path: Path) -> None:
    Scripted.rewards = [1.0, 3.0, math.nan, 2.0]
    runner = small_runner(tmp_path)
    runner.evaluate_with(Scripted, interval=2, episodes=2)
    runner.learn(7)
    assert [row["Eval/mean_return"] for row in rows(tmp_path)] == ["4.0", "", "12.0", "", "nan", "", "8.0"]
    assert rows(tmp_path)[0]["Eval/success"] == "0.5"
    assert rows(tmp_path)[0]["Eval/tracking/error_vel"] == "0.5"
    best = checkpoint(tmp_path, "best")
    assert (best["iter"], best["best_reward"], best["best_by"]) == (2, 12.0, "Eval/mean_return")
    # It is saved between two intervals, and whole.
    assert (tmp_path / "model_2.pt").read_bytes() == (tmp_path / "best.pt").read_bytes()
    assert sorted(file.name for file in tmp_path.glob("model_*")) == ["model_0.pt", "model_2.pt", "model_6.pt"]


def test_a_resumed_run_evaluates_and_chooses_like_one_that_was_not_interrupted(tmp_path: Path) -> None:
    def learn(folder: Path, iterations: int, seed: int, resume: bool = False) -> None:
        runner = runner_of(CONFIGS["lstm"], folder, seed)
        runner.evaluate_with(Greedy, interval=3, episodes=5)
        if resume:
            runner.load(str(folder))
        runner.learn(iterations)

    learn(tmp_path / "whole", 20, seed=1)
    learn(tmp_path / "parts", 10, seed=1)
    learn(tmp_path / "parts", 10, seed=2, resume=True)
    for name in ("model_19", "best"):
        assert differences(checkpoint(tmp_path / "whole", name), checkpoint(tmp_path / "parts", name)) == []
    assert table(tmp_path / "whole") == table(tmp_path / "parts")
    assert sum(bool(row["Eval/mean_return"]) for row in rows(tmp_path / "parts")) == 8
    assert checkpoint(tmp_path / "parts", "best")["best_by"] == "Eval/mean_return"


def test_an_evaluation_outweighs_the_rewards_of_the_training_and_never_the_other_way_round(tmp_path: Path) -> None:
    def save(iteration: int, *score: Any) -> int:
        folder = CheckpointFolder(tmp_path)  # as a resumed run does

        def write(path: str) -> None:
            write_checkpoint({"iter": iteration, "best_reward": folder.best_reward, "best_by": folder.best_by}, path)

        folder.save(write, iteration, score[0], False, *score[1:])
        return read_checkpoint(tmp_path / "best.pt")["iter"]

    assert save(0, 50.0) == 0
    assert save(1, 5.0, "Eval/mean_return") == 1
    assert save(2, 60.0) == 1
    assert save(3, 4.0, "Eval/mean_return") == 1
    assert save(4, 6.0, "Eval/mean_return") == 4


def breaks_when_made() -> PointEnv:
    raise RuntimeError("no display")


class BreaksLater(PointEnv):
    """Fails in its fifteenth step: in the second evaluation."""

    count = 0

    def step(self, actions: torch.Tensor) -> tuple:
        self.count += 1
        if self.count == 15:
            raise OSError("the simulator is gone")
        return super().step(actions)


@pytest.mark.parametrize(("env", "good"), [(breaks_when_made, 0), (BreaksLater, 1)])
def test_an_evaluation_that_fails_is_said_once_and_never_ends_a_training(
    env: Callable[[], PointEnv], good: int, tmp_path: Path
) -> None:
    small_runner(tmp_path / "without").learn(6)
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.manual_seed(0)
        runner = small_runner(tmp_path / "with")
        runner.evaluate_with(env, interval=2, episodes=4)
        runner.learn(6)
    said = [str(warning.message) for warning in caught if "evaluation" in str(warning.message)]
    assert len(said) == 1
    assert f"iteration {2 * good} failed and none is made any more, training goes on" in said[0]
    assert sum(bool(row.get("Eval/mean_return")) for row in rows(tmp_path / "with")) == good
    assert len(rows(tmp_path / "with")) == 6
    # Without any evaluation the rewards of the training choose, as ever.
    assert checkpoint(tmp_path / "with", "best")["best_by"] == ("Eval" if good else "Train") + (
        "/mean_return" if good else "/mean_reward"
    )


def test_an_evaluation_held_by_a_callback_fails_without_ending_the_training(tmp_path: Path) -> None:
    evaluation = Evaluation(breaks_when_made, interval=1, episodes=4)
    runner = small_runner(tmp_path)
    runner.add_callback(lambda runner: evaluation.on_update_end(runner))
    with pytest.warns(UserWarning, match="failed and none is made any more") as warned:
        runner.learn(3)
    assert len([warning for warning in warned if "evaluation" in str(warning.message)]) == 1
    assert len(rows(tmp_path)) == 3


def test_environments_that_never_end_an_episode_do_not_hold_up_the_training(tmp_path: Path) -> None:
    class Endless(PointEnv):
        def step(self, actions: torch.Tensor) -> tuple:
            obs, rewards, dones, extras = super().step(actions)
            return obs.apply(lambda value: value * math.nan), rewards * math.nan, torch.zeros_like(dones), extras

    runner = small_runner(tmp_path)
    runner.evaluate_with(Endless, interval=1, episodes=6)
    runner.learn(2)
    # Six episodes in four environments, at most 10 steps each: after twice as many the time is up.
    assert [row["Eval/mean_episode_length"] for row in rows(tmp_path)] == ["40.0", "40.0"]


def test_environments_that_cannot_go_back_go_on_with_new_episodes(tmp_path: Path) -> None:
    class Onwards(PointEnv):
        count = 0

        def step(self, actions: torch.Tensor) -> tuple:
            obs, _, dones, extras = super().step(actions)
            self.count += 1
            return obs, torch.full((self.num_envs,), float(self.count)), dones, extras

        def state_dict(self) -> dict:
            raise NotImplementedError

    runner = small_runner(tmp_path)
    # One of two environments is in the middle of its second episode when the three episodes are made.
    runner.evaluate_with(Onwards(2, max_episode_length=4), interval=1, episodes=3)
    runner.learn(2)
    first = [1 + 2 + 3 + 4] * 2 + [5 + 6 + 7 + 8]
    second = [9 + 10 + 11 + 12] * 2 + [13 + 14 + 15 + 16]
    assert [float(row["Eval/mean_return"]) for row in rows(tmp_path)] == [sum(first) / 3, sum(second) / 3]


class OwnBuffers(PointEnv):
    """Gives its buffers away as they are: as its state, which steps then write to, and as its observations."""

    def __init__(self) -> None:
        super().__init__(2, max_episode_length=4)
        self.count, self.groups = torch.zeros(2), super().get_observations()

    def get_observations(self) -> TensorDict:
        for name, group in super().get_observations().items():
            self.groups[name][:] = group
        return self.groups

    def step(self, actions: torch.Tensor) -> tuple:
        self.groups = super().get_observations()
        obs, _, dones, extras = super().step(actions)
        self.count += 1
        extras["log"] = {"note": "text", "nothing": None, "distance": 1.0}
        return obs, self.count.clone(), dones, extras

    def state_dict(self) -> dict:
        return {"count": self.count, "length": self.episode_length_buf}

    def load_state_dict(self, state: dict) -> None:
        self.count.copy_(state["count"])
        self.episode_length_buf = state["length"].clone()


def test_a_state_that_is_the_buffers_themselves_is_kept_apart(tmp_path: Path) -> None:
    runner = small_runner(tmp_path)
    runner.evaluate_with(OwnBuffers(), interval=1, episodes=2)
    runner.learn(3)
    assert [row["Eval/mean_return"] for row in rows(tmp_path)] == ["10.0", "10.0", "10.0"]


def test_an_environment_with_a_reset_of_its_own_kind_goes_on(tmp_path: Path) -> None:
    class Forward(OwnBuffers):
        def state_dict(self) -> dict:
            raise NotImplementedError

        def reset(self, where: torch.Tensor) -> None:
            raise AssertionError("not to be called without knowing where")

    runner = small_runner(tmp_path)
    runner.evaluate_with(Forward(), interval=1, episodes=2)
    runner.learn(2)
    assert [row["Eval/mean_return"] for row in rows(tmp_path)] == ["10.0", "26.0"]


@pytest.mark.parametrize("numbers", [(0, 4), (2, 0)])
def test_numbers_that_make_no_sense_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="of evaluations must be at least 1, got 0"):
        small_runner(None).evaluate_with(PointEnv, *numbers)


def test_the_command_line_evaluates_and_goes_on_evaluating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluated = ["--eval-interval", "2", "--eval-episodes", "5", "--eval-num-envs", "2", "--export", "False"]
    main(["train", "gym:Drift-v0", *SMALL, *evaluated, "--iterations", "5", "--run-dir", "whole"])
    main(["train", "gym:Drift-v0", *SMALL, *evaluated, "--iterations", "3", "--run-dir", "parts"])
    task = read_task("parts/config.yaml")
    assert (task.eval_interval, task.eval_episodes, task.eval_num_envs) == (2, 5, 2)
    # What is evaluated is part of the run.
    main(["train", "--resume", "parts", "--iterations", "5", "--export", "False"])
    assert [bool(row["Eval/mean_return"]) for row in rows(tmp_path / "whole")] == [True, False, True, False, True]
    assert table(tmp_path / "whole") == table(tmp_path / "parts")
    assert differences(checkpoint(tmp_path / "whole", "best"), checkpoint(tmp_path / "parts", "best")) == []
    error = fails(capsys, "train", "gym:Drift-v0", *SMALL, "--eval-interval", "0", "--run-dir", "none")
    assert "'eval_interval' must be at least 1, got 0" in error
    assert not Path("none").exists()
