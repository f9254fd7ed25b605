# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Environments of earlier layouts train as if they were written for the present one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsl_rl.env import LegacyVecEnv, ManagerBasedVecEnv, as_vec_env, make_env
from rsl_rl.runners import OnPolicyRunner
from tests.env.layouts import LabEnv, Point1x, Point2x, PointOfDicts
from tests.envs import PointEnv, point_config

LAYOUTS = [Point1x, Point2x, PointOfDicts, LabEnv]


def trained(env: Any, **options: Any) -> OnPolicyRunner:
    torch.manual_seed(0)
    runner = OnPolicyRunner(env, point_config(), **options)
    runner.learn(3)
    return runner


def weights(runner: OnPolicyRunner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in [*runner.alg.actor.parameters(), *runner.alg.critic.parameters()]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_gives_the_numbers_of_the_present_layout(layout: Callable[..., Any]) -> None:
    expected = trained(PointEnv(seed=3))
    runner = trained(layout(seed=3))
    assert runner.env.num_envs == 4
    assert torch.equal(weights(runner), weights(expected))
    assert list(runner.logger.rewbuffer) == list(expected.logger.rewbuffer)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_give_the_numbers_of_the_present_layout(layout: Callable[..., Any]) -> None:
    env, expected = as_vec_env(layout(seed=1)), PointEnv(seed=1)
    for step in range(25):
        for group, value in expected.get_observations().items():
            assert torch.equal(env.get_observations()[group], value)
        actions = torch.full((4, 1), (-1.0) ** (step // 5))
        obs, rewards, dones, extras = env.step(actions)
        expected_obs, expected_rewards, expected_dones, expected_extras = expected.step(actions)
        assert set(obs.keys()) == {"policy", "privileged"}
        assert "observations" not in extras
        assert torch.equal(obs["policy"], expected_obs["policy"])
        assert torch.equal(obs["privileged"], expected_obs["privileged"])
        assert torch.equal(rewards, expected_rewards)
        assert torch.equal(dones.bool(), expected_dones)
        if "time_outs" in extras:
            assert torch.equal(extras["time_outs"], expected_extras["time_outs"])
        else:
            assert not expected_dones.any()


def test_an_environment_of_the_present_layout_is_taken_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    env = PointEnv()
    assert OnPolicyRunner(env, point_config()).env is env
    adapted = LegacyVecEnv(Point1x())
    assert as_vec_env(adapted) is adapted
    assert capsys.readouterr().err == ""


def test_one_line_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    as_vec_env(Point1x())
    as_vec_env(Point2x())
    as_vec_env(LabEnv())
    assert capsys.readouterr().err.splitlines() == [
        "Point1x: an environment in the layout of rsl_rl 1.x, adapted by LegacyVecEnv; observation groups 'policy' "
        "[4, 2], 'privileged' [4, 3].",
        "Point2x: an environment in the layout of rsl_rl 2.x, adapted by LegacyVecEnv; observation groups 'policy' "
        "[4, 2], 'privileged' [4, 3].",
        "LabEnv: an environment of Isaac Lab's interface, adapted by ManagerBasedVecEnv.",
    ]


def test_privileged_observations_may_be_none() -> None:
    env = as_vec_env(Point1x(has_privileged=False))
    assert list(env.get_observations().keys()) == ["policy"]
    assert list(env.step(torch.zeros(4, 1))[0].keys()) == ["policy"]


def test_time_outs_of_an_earlier_step_do_not_count() -> None:
    inner = Point1x(num_envs=2, max_episode_length=3)
    env = as_vec_env(inner)
    time_outs = [env.step(torch.zeros(2, 1))[3].get("time_outs") for _ in range(4)]
    assert time_outs[2].tolist() == [True, True]
    assert time_outs[3].tolist() == [False, False]
    assert inner.extras["time_outs"].tolist() == [True, True], "the environment's dictionary is its own"


def test_episode_sums_are_logged(tmp_path: Path) -> None:
    trained(Point1x(), log_dir=str(tmp_path))
    assert "Episode/distance" in (tmp_path / "metrics.csv").read_text()


def test_attributes_are_those_of_the_wrapped_environment() -> None:
    inner = Point1x()
    env = as_vec_env(inner)
    assert (env.num_obs, env.num_privileged_obs, env.max_episode_length) == (2, 3, 10.0)
    assert env.cfg is inner.cfg
    env.episode_length_buf = torch.full((4,), 8)
    assert inner.episode_length_buf.tolist() == [8] * 4
    env.command = 2.0
    assert inner.command == 2.0
    with pytest.raises(AttributeError, match="Point1x.*no attribute 'comand'"):
        _ = env.comand


def test_seconds_per_step_are_found_under_both_names() -> None:
    assert as_vec_env(Point1x()).unwrapped.step_dt == 0.02
    with pytest.raises(AttributeError):
        _ = as_vec_env(Point2x()).unwrapped.step_dt


def test_first_episodes_can_be_staggered() -> None:
    inner = Point1x(num_envs=64)
    runner = OnPolicyRunner(inner, point_config())
    runner.learn(1, init_at_random_ep_len=True)
    assert len(set(inner.episode_length_buf.tolist())) > 3


class NumpyEnv(PointEnv):
    def get_observations(self) -> Any:
        return np.zeros((4, 2))


class GymnasiumLike(PointEnv):
    def get_observations(self) -> Any:
        return torch.zeros(4, 2)

    def step(self, actions: torch.Tensor) -> Any:
        ended = torch.zeros(4, dtype=torch.bool)
        return torch.zeros(4, 2), torch.zeros(4), ended, ended, {}


class NoneEnv(PointEnv):
    def get_observations(self) -> Any:
        return None


class Forgetful(Point2x):
    gives: dict[str, Any]

    def step(self, actions: torch.Tensor) -> Any:
        obs, rewards, dones, extras = super().step(actions)
        return obs, rewards, dones, extras | {"observations": self.gives}


def test_unknown_layouts_are_refused_with_what_was_expected() -> None:
    with pytest.raises(TypeError, match=r"get_observations\(\) of NumpyEnv returned a ndarray. Expected a TensorDict"):
        as_vec_env(NumpyEnv())
    with pytest.raises(TypeError, match=r"get_observations\(\) of NoneEnv returned a NoneType. Expected a TensorDict"):
        as_vec_env(NoneEnv())
    with pytest.raises(TypeError, match=r"step\(\) of GymnasiumLike returns 5 values that are not those of rsl_rl 1.x"):
        as_vec_env(GymnasiumLike()).step(torch.zeros(4, 1))
    for gives in ({}, {"privileged": None}, {"privileged": {}}, {"privileged": np.zeros((4, 3))}):
        env = Forgetful()
        env.gives = gives
        with pytest.raises(ValueError, match="the observation groups policy, privileged at first, and now lacks priv"):
            as_vec_env(env).step(torch.zeros(4, 1))


def test_entries_that_are_no_tensors_are_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    class WithNames(Point2x):
        def _observed(self) -> tuple[torch.Tensor, dict]:
            obs, extras = super()._observed()
            extras["observations"]["names"] = ["position", "velocity"]
            return obs, extras

    env = as_vec_env(WithNames())
    assert "Not tensors, and left out: names." in capsys.readouterr().err
    assert set(env.step(torch.zeros(4, 1))[0].keys()) == {"policy", "privileged"}


def test_factories_may_return_them() -> None:
    env = make_env("tests.env.layouts:old_point", num_envs=2)
    assert isinstance(env, LegacyVecEnv)
    assert env.num_envs == 2


def test_a_raw_manager_based_environment_is_adapted() -> None:
    assert isinstance(as_vec_env(LabEnv()), ManagerBasedVecEnv)


OLD_ALGORITHM = {"num_learning_epochs": 2, "num_mini_batches": 2, "learning_rate": 1e-3, "schedule": "adaptive"}
LEGGED_GYM = {
    "seed": 1,
    "runner_class_name": "OnPolicyRunner",
    "policy": {"init_noise_std": 0.5, "actor_hidden_dims": [16], "critic_hidden_dims": [16], "activation": "elu"},
    "algorithm": OLD_ALGORITHM,
    "runner": {
        "policy_class_name": "ActorCritic",
        "algorithm_class_name": "PPO",
        "num_steps_per_env": 8,
        "max_iterations": 2,
        "save_interval": 50,
        "experiment_name": "point",
    },
}
RSL_RL_2 = {
    "num_steps_per_env": 8,
    "save_interval": 50,
    "empirical_normalization": True,
    "policy": {"class_name": "ActorCritic", **LEGGED_GYM["policy"]},
    "algorithm": {"class_name": "PPO", **OLD_ALGORITHM},
}


@pytest.mark.parametrize(("layout", "config"), [(Point1x, LEGGED_GYM), (Point2x, RSL_RL_2)])
def test_a_whole_program_of_its_time_trains_and_plays(
    layout: Callable[..., Any], config: dict[str, Any], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    runner = OnPolicyRunner(layout(num_envs=16), config, log_dir=str(tmp_path))
    runner.learn(2, init_at_random_ep_len=True)
    assert (runner.alg.actor.obs_groups, runner.alg.critic.obs_groups) == (["policy"], ["privileged"])
    assert (tmp_path / "model_1.pt").is_file()
    policy, env = runner.get_inference_policy(), runner.env
    obs = env.get_observations()
    for _ in range(3):
        with torch.inference_mode():
            obs, rewards, _, _ = env.step(policy(obs))
    assert torch.isfinite(rewards).all()
