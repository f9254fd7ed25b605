# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whole episodes: which count, and what is said about them."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rsl_rl.env import make_env
from rsl_rl.runners.episodes import play_episodes
from tests.envs import PointEnv

# Whichever comes first ends an episode of environments 0 and 1.
LENGTHS = (2, 10)


class Uneven(PointEnv):
    """Two environments whose episodes last 2 and 10 steps, with a reward of 1; what else it says is up to the test."""

    def __init__(self, **extras: Any) -> None:
        super().__init__(2, max_episode_length=10_000)
        self.count, self.extras = 0, extras

    def step(self, actions: torch.Tensor) -> tuple:
        obs, _, _, _ = super().step(actions)
        self.count += 1
        dones = torch.tensor([self.count % length == 0 for length in LENGTHS])
        self.episode_length_buf[dones] = 0
        return obs, torch.ones(2), dones, {key: say(self) for key, say in self.extras.items()}


def stand(obs: Any) -> torch.Tensor:
    return torch.zeros(len(obs), 1)


def test_every_environment_contributes_its_first_episodes() -> None:
    # Environment 0 ends episodes five times as often; taking whatever ends first would count it more.
    result = play_episodes(Uneven(), stand, 4)
    assert sorted(result.lengths) == [2, 2, 10, 10]
    assert sorted(result.returns) == [2.0, 2.0, 10.0, 10.0]
    assert (result.success, result.successes, result.terms, result.tracking) == (None, None, {}, {})
    assert result.means() == {"return": 6.0, "return_std": 4.0, "length": 6.0}


def test_one_environment_more_where_the_episodes_do_not_divide() -> None:
    result = play_episodes(Uneven(), stand, 3)
    assert sorted(result.lengths) == [2, 2, 10]


def test_terms_of_each_environment_count_in_its_own_episodes_only() -> None:
    # Environment 0 says 1 in its episode of 2 steps and 100 after it, environment 1 says 4 in its 10 steps.
    result = play_episodes(
        Uneven(log=lambda env: {"reward_walk": torch.tensor([1.0 if env.count <= 2 else 100.0, 4.0])}), stand, 2
    )
    assert result.terms == {"reward_walk": pytest.approx((2 * 1.0 + 10 * 4.0) / 12)}


def test_means_of_all_environments_are_averaged_over_the_steps() -> None:
    result = play_episodes(Uneven(log=lambda env: {"a": float(env.count), "b": torch.tensor(2.0)}), stand, 2)
    assert result.terms == {"a": pytest.approx(5.5), "b": 2.0}


def test_what_is_called_an_error_is_a_tracking_error() -> None:
    result = play_episodes(
        Uneven(
            log=lambda env: {
                "Metrics/base_velocity/error_vel_xy": 0.5,
                "heading_error": torch.tensor([-2.0, 1.0]),
                "reward_error": 3.0,
            }
        ),
        stand,
        2,
    )
    assert result.tracking == {
        "Metrics/base_velocity/error_vel_xy": 0.5,
        "heading_error": pytest.approx((2 * 2.0 + 10 * 1.0) / 12),
    }
    assert result.terms == {"reward_error": 3.0}


def test_success_is_what_is_said_in_the_last_step_of_an_episode() -> None:
    # Of several names the usual one counts.
    others = {"log": lambda env: {"grasp_success": torch.ones(2)}}
    env = Uneven(success=lambda env: torch.tensor([env.count == 4, env.count != 10]), **others)
    result = play_episodes(env, stand, 3)
    assert list(zip(result.lengths, result.successes or [], strict=True)) == [(2, False), (2, True), (10, False)]
    assert result.means()["success"] == pytest.approx(1 / 3)
    assert result.terms == {"grasp_success": 1.0}


@pytest.mark.parametrize(
    ("name", "logged", "expected"),
    [
        # After steps 2 and 4 an episode of environment 0 ends, after step 10 those of both.
        ("Metrics/success_rate", {2: 1.0, 3: 0.0, 4: 0.25, 10: 0.5}, (1.0 + 0.25 + 0.5) / 3),
        ("Episode_Termination/success", {2: 1.0, 4: 0.0, 10: 2.0}, (1.0 + 0.0 + 1.0) / 3),
    ],
)
def test_success_that_the_environment_averages_itself(name: str, logged: dict[int, float], expected: float) -> None:
    result = play_episodes(Uneven(log=lambda env: {name: logged.get(env.count, 0.0)}), stand, 3)
    assert result.success == pytest.approx(expected)
    assert result.successes is None


class Reach(gymnasium.Env):
    """Says whether the third step was a success, as Gymnasium's goal environments do, and a term in even steps."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed)
        self.steps, self.luck = 0, bool(self.np_random.integers(2))
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple:
        self.steps += 1
        info = {"is_success": self.steps == 3 and self.luck}
        if self.steps % 2 == 0:
            info["even"] = 7.0
        return np.full(1, self.luck, np.float32), float(self.luck), self.steps == 3, False, info


def test_success_and_terms_of_gymnasium() -> None:
    if "Reach-v0" not in gymnasium.registry:
        gymnasium.register("Reach-v0", entry_point=Reach)
    result = play_episodes(make_env("gym:Reach-v0", num_envs=4, seed=3), stand, 16)
    # The reward of each of the three steps says the same.
    assert result.successes == [episode_return == 3.0 for episode_return in result.returns]
    assert set(result.successes or []) == {True, False}
    assert result.terms == {"even": 7.0}


def test_episodes_that_are_under_way_are_finished_and_not_counted() -> None:
    env = PointEnv(2, max_episode_length=10)
    for _ in range(4):
        env.step(torch.zeros(2, 1))
    result = play_episodes(env, stand, 4)
    assert result.lengths == [10, 10, 10, 10]


def test_when_time_is_up_running_episodes_are_counted_as_they_stand() -> None:
    result = play_episodes(Uneven(), stand, 4, max_steps=7)
    assert result.lengths == [2, 2, 7]
    assert result.returns == [2.0, 2.0, 7.0]
    assert result.unfinished == 1


def test_tracking_errors_of_mujoco_tasks_are_those_that_they_report() -> None:
    def act(obs: Any) -> torch.Tensor:
        return torch.sin(7.0 * obs["critic"][:, 6:18])

    def robots() -> Any:
        return make_env("mujoco:go1-walk", num_envs=2, seed=3, episode_seconds=0.4, command_seconds=0.1)

    result = play_episodes(robots(), act, 4)
    # By hand, from what the critic sees: the command before a step, and the velocities after it.
    env, errors, left = robots(), {"error_velocity": [], "error_turn": []}, [2, 2]
    obs = env.get_observations()
    while any(left):
        command = obs["critic"][:, 42:45].clone()
        obs, _, dones, extras = env.step(act(obs))
        after = torch.where(dones[:, None], extras.get("final_obs", obs)["critic"], obs["critic"])
        for index in (index for index in range(2) if left[index]):
            errors["error_velocity"].append((after[index, 47:49] - command[index, :2]).norm().item())
            errors["error_turn"].append((after[index, 2] / 0.25 - command[index, 2]).abs().item())
            left[index] -= int(dones[index])
    assert sum(result.lengths) == len(errors["error_turn"]) > 40
    assert result.tracking == {name: pytest.approx(np.mean(values), rel=1e-4) for name, values in errors.items()}


@pytest.mark.envpool
def test_tracking_errors_of_the_go1_of_envpool_are_those_that_its_rewards_are_made_of() -> None:
    def act(obs: Any) -> torch.Tensor:
        return 2.0 * torch.sin(7.0 * obs["state"][:, 9:21])

    def robots() -> Any:
        return make_env("envpool:Go1JoystickFlatTerrain-v1", num_envs=2, seed=3, num_threads=1, max_episode_steps=40)

    result = play_episodes(robots(), act, 4)
    # By hand: reward = scale * exp(-error^2 / 0.25), over the same steps.
    env, errors, left = robots(), {"lin_vel": [], "ang_vel": []}, [2, 2]
    obs = env.get_observations()
    while any(left):
        obs, _, dones, _ = env.step(act(obs))
        for index in (index for index in range(2) if left[index]):
            for name, scale in (("lin_vel", 1.0), ("ang_vel", 0.5)):
                reward = env.last_info[f"reward_tracking_{name}"][index] / scale
                errors[name].append(math.sqrt(-0.25 * math.log(reward)))
            left[index] -= int(dones[index])
    assert sum(result.lengths) == len(errors["lin_vel"])
    assert result.tracking == {name: pytest.approx(np.mean(values), rel=1e-4) for name, values in errors.items()}
    assert result.terms["reward_tracking_lin_vel"] > 0
