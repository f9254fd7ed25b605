# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Random network distillation beyond the reference case."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.algorithms import PPO
from rsl_rl.env import LegacyVecEnv
from rsl_rl.extensions import RandomNetworkDistillation, resolve_rnd_config
from tests.env.layouts import Point2x
from tests.envs import PointEnv, point_config

RND = {"num_outputs": 2, "predictor_hidden_dims": [16], "target_hidden_dims": [16], "weight": 10.0}


def states(num_envs: int = 4, seed: int = 0) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)
    return TensorDict({"a": torch.randn(num_envs, 2, generator=generator)}, [num_envs])


def build(**options: Any) -> RandomNetworkDistillation:
    torch.manual_seed(0)
    return RandomNetworkDistillation(num_states=2, obs_groups={"rnd_state": ["a"]}, **{**RND, **options})


def train(iterations: int, alg: PPO, env: PointEnv) -> None:
    for _ in range(iterations):
        with torch.inference_mode():
            obs = env.get_observations()
            for _ in range(alg.storage.num_transitions_per_env):
                obs, rewards, dones, extras = env.step(alg.act(obs))
                alg.process_env_step(obs, rewards, dones, extras)
            alg.compute_returns(obs)
        alg.update()


def algorithm(**options: Any) -> tuple[PPO, PointEnv]:
    torch.manual_seed(0)
    env = PointEnv()
    env.unwrapped = SimpleNamespace(step_dt=0.1)
    config = point_config(rnd_cfg={**RND, "state_normalization": True, "reward_normalization": True, **options})
    config["obs_groups"]["rnd_state"] = ["privileged"]
    alg = PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    alg.train_mode()
    return alg, env


# The weight after so many steps, by hand.
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (None, [10.0] * 6),
        ({"mode": "constant"}, [10.0] * 6),
        ({"mode": "step", "final_step": 3, "final_value": 1.0}, [10.0, 10.0, 1.0, 1.0, 1.0, 1.0]),
        (
            {"mode": "linear", "initial_step": 1, "final_step": 5, "final_value": 2.0},
            [10.0, 8.0, 6.0, 4.0, 2.0, 2.0],
        ),
    ],
)
def test_the_weight_follows_its_schedule(schedule: dict | None, expected: list[float]) -> None:
    rnd, weights = build(weight_schedule=schedule), []
    for _ in expected:
        rnd.get_intrinsic_reward(states())
        weights.append(rnd.weight)
    assert weights == pytest.approx(expected)
    assert {type(weight) for weight in weights} == {float}  # It goes into checkpoints, which hold plain numbers.


def test_the_reward_is_the_weighted_error_and_falls_where_it_was_learned() -> None:
    rnd, obs = build(), states()
    error = (rnd.target(obs["a"]) - rnd.predictor(obs["a"])).norm(dim=1)
    before = rnd.get_intrinsic_reward(obs)
    torch.testing.assert_close(before, 10.0 * error)
    for _ in range(200):
        rnd.optimizer.zero_grad()
        rnd.compute_loss(obs).backward()
        rnd.optimized()[0].step_unless(torch.tensor(False))
    known, new = rnd.get_intrinsic_reward(obs), rnd.get_intrinsic_reward(states(64, seed=5))
    assert known.mean() < 0.1 * before.mean()
    assert new.mean() > 3 * known.mean()


def test_only_the_predictor_learns() -> None:
    alg, env = algorithm()
    assert alg.rnd is not None
    target, predictor = copy.deepcopy(alg.rnd.target.state_dict()), copy.deepcopy(alg.rnd.predictor.state_dict())
    train(1, alg, env)
    assert all(torch.equal(value, alg.rnd.target.state_dict()[key]) for key, value in target.items())
    assert not any(torch.equal(value, alg.rnd.predictor.state_dict()[key]) for key, value in predictor.items())
    assert not alg.rnd.target.training


def test_padding_of_trajectories_is_no_state() -> None:
    rnd, masks = build(), torch.tensor([[True, True], [True, False]])
    obs = TensorDict({"a": torch.randn(2, 2, 2)}, [2, 2])
    expected = rnd.compute_loss(TensorDict({"a": obs["a"][masks]}, [3]))
    obs["a"][1, 1] = 1e3
    torch.testing.assert_close(rnd.compute_loss(obs, masks), expected)


def test_a_resumed_run_continues_its_schedule_and_its_averages() -> None:
    schedule = {"mode": "linear", "initial_step": 0, "final_step": 100, "final_value": 0.0}
    alg, env = algorithm(weight_schedule=schedule)
    train(2, alg, env)
    saved = copy.deepcopy(alg.save())
    resumed, _ = algorithm(weight_schedule=schedule)
    resumed.load(saved)
    assert alg.rnd is not None
    assert resumed.rnd is not None
    assert resumed.rnd.update_counter == 16
    obs = env.get_observations()
    torch.testing.assert_close(resumed.rnd.get_intrinsic_reward(obs), alg.rnd.get_intrinsic_reward(obs))
    assert resumed.rnd.weight == pytest.approx(1.0 - 17 / 100)
    assert resumed.rnd.optimizer.state_dict()["state"][0]["step"] == 8


def test_recurrent_models_learn_with_it() -> None:
    alg, env = algorithm()
    config = point_config(rnd_cfg=RND)
    config["obs_groups"]["rnd_state"] = ["privileged"]
    config["actor"] |= {"class_name": "RNNModel", "rnn_hidden_dim": 8}
    alg = PPO.construct_algorithm(env.get_observations(), env, config, "cpu")
    train(2, alg, env)
    assert all(parameter.isfinite().all() for parameter in alg.actor.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weigth": 1.0}, "has no option 'weigth'.*'weight'"),
        ({"weight_schedule": {"mode": "lineer"}}, "Unknown mode 'lineer'.*'linear'"),
        ({"weight_schedule": {"mode": "step", "final_step": 3}}, "lacks 'final_value'"),
    ],
)
def test_wrong_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        algorithm(**options)


def test_a_missing_option_and_an_image_are_named() -> None:
    env = SimpleNamespace(unwrapped=SimpleNamespace(step_dt=0.5))
    obs: Any = {"a": torch.zeros(2, 3), "camera": torch.zeros(2, 1, 4, 4)}
    config = {"class_name": "PPO", "rnd_cfg": RND}
    resolved = resolve_rnd_config(config, obs, {"rnd_state": ["a"]}, env)  # type: ignore[arg-type]
    assert (resolved["rnd_cfg"]["weight"], resolved["rnd_cfg"]["num_states"]) == (5.0, 3)
    assert config == {"class_name": "PPO", "rnd_cfg": RND}
    with pytest.raises(ValueError, match=r"'camera' has \[2, 1, 4, 4\]"):
        resolve_rnd_config(config, obs, {"rnd_state": ["camera"]}, env)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lacks the option 'num_outputs'"):
        resolve_rnd_config({"rnd_cfg": {"weight": 1.0}}, obs, {"rnd_state": ["a"]}, env)  # type: ignore[arg-type]


def test_an_environment_that_does_not_tell_its_time_step_is_named() -> None:
    for env in (PointEnv(), LegacyVecEnv(Point2x())):
        with pytest.raises(ValueError, match="'env.unwrapped.step_dt', the seconds .* Point(Env|2x) lacks"):
            resolve_rnd_config({"rnd_cfg": RND}, states(), {"rnd_state": ["a"]}, env)
