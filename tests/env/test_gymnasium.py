# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The adapter acts like a plain loop over single environments, whatever the vector environment's autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rsl_rl.env import GymnasiumVecEnv
from tests.env.toys import Buttons, Drift, register

register()
N, STEPS = 3, 40
MODES = list(AutoresetMode)


def groups_of(observation: Any) -> dict[str, np.ndarray]:
    if not isinstance(observation, dict):
        return {"policy": np.asarray(observation, np.float32)}
    return {
        "state": observation["state"].astype(np.float32),
        "image": observation["image"].transpose(2, 0, 1),
        "time": np.asarray([observation["time"]], np.float32),
    }


class PlainLoop:
    """Steps single environments one by one and resets each by hand when it ends."""

    def __init__(self, name: str, seed: int) -> None:
        self.envs = [gymnasium.make(name) for _ in range(N)]
        self.observations = [groups_of(env.reset(seed=seed + i)[0]) for i, env in enumerate(self.envs)]
        self.lengths = [0] * N

    def step(self, actions: np.ndarray) -> list[dict]:
        outcomes = []
        for index, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            observation, reward, terminated, truncated, _ = env.step(action)
            done, final = terminated or truncated, groups_of(observation)
            self.lengths[index] += 1
            if done:
                observation, _ = env.reset()
                self.lengths[index] = 0
            self.observations[index] = groups_of(observation)
            time_out = truncated and not terminated
            outcomes.append({"reward": reward, "done": done, "time_out": time_out, "final": final})
        return outcomes


def check_against_plain_loop(env: GymnasiumVecEnv, name: str, seed: int) -> None:
    loop, rng = PlainLoop(name, seed), np.random.default_rng(0)
    obs = env.get_observations()
    ends = {"terminated": 0, "timed out": 0}
    for _ in range(STEPS):
        for index in range(N):
            for group, expected in loop.observations[index].items():
                np.testing.assert_array_equal(obs[group][index].numpy(), expected)
        assert env.episode_length_buf.tolist() == loop.lengths
        actions = rng.uniform(-0.5, 0.5, (N, 2)).astype(np.float32)
        outcomes = loop.step(actions)
        obs, rewards, dones, extras = env.step(torch.from_numpy(actions))
        assert rewards.tolist() == [np.float32(outcome["reward"]) for outcome in outcomes]
        assert dones.tolist() == [outcome["done"] for outcome in outcomes]
        assert extras["time_outs"].tolist() == [outcome["time_out"] for outcome in outcomes]
        assert ("final_obs" in extras) == any(dones)
        for index, outcome in enumerate(outcomes):
            if outcome["done"]:
                ends["timed out" if outcome["time_out"] else "terminated"] += 1
                for group, expected in outcome["final"].items():
                    np.testing.assert_array_equal(extras["final_obs"][group][index].numpy(), expected)
    assert min(ends.values()) > 2  # both ways to end were met


@pytest.mark.parametrize("name", ["Drift-v0", "DriftDict-v0"])
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_sync_vector_env(mode: AutoresetMode, copy: bool, name: str) -> None:
    envs = SyncVectorEnv([lambda: gymnasium.make(name)] * N, copy=copy, autoreset_mode=mode)
    check_against_plain_loop(GymnasiumVecEnv(envs, seed=5), name, seed=5)


@pytest.mark.parametrize("mode", MODES)
def test_async_vector_env(mode: AutoresetMode) -> None:
    envs = AsyncVectorEnv([lambda: gymnasium.make("DriftDict-v0")] * N, autoreset_mode=mode, context="fork")
    env = GymnasiumVecEnv(envs, seed=5)
    try:
        check_against_plain_loop(env, "DriftDict-v0", seed=5)
    finally:
        env.close()


def make(name: str = "Drift-v0", **options: Any) -> GymnasiumVecEnv:
    return GymnasiumVecEnv(SyncVectorEnv([lambda: gymnasium.make(name)] * N), seed=0, **options)


def test_groups_types_and_sizes() -> None:
    env = make("DriftDict-v0")
    obs, rewards, dones, extras = env.step(torch.zeros(N, 2))
    assert obs.batch_size == (N,)
    assert {group: (tuple(value.shape[1:]), value.dtype) for group, value in obs.items()} == {
        "state": ((3,), torch.float32),
        "image": ((3, 6, 5), torch.uint8),
        "time": ((1,), torch.float32),
    }
    assert (rewards.dtype, dones.dtype, extras["time_outs"].dtype) == (torch.float32, torch.bool, torch.bool)
    assert (env.num_envs, env.num_actions, env.max_episode_length, env.step_dt) == (N, 2, 7, 0.05)
    assert env.unwrapped.step_dt == 0.05


def test_actions_are_clipped_to_the_box() -> None:
    # The environment itself asserts that its actions are within bounds.
    make().step(torch.full((N, 2), 100.0))


def test_infos_are_averaged_over_the_environments_that_gave_them() -> None:
    env = make()
    env.step(torch.zeros(N, 2))
    obs, _, _, extras = env.step(torch.zeros(N, 2))
    if "final_obs" not in extras:
        assert extras["log"]["height"] == pytest.approx(obs["policy"][:, 2].mean().item(), rel=1e-6)
    assert extras["log"].get("odd", 1.0) == 1.0
    assert env.last_info["height"].shape == (N,)


def test_final_and_next_observations_share_no_memory() -> None:
    env = make()
    for _ in range(7):
        obs, _, _, extras = env.step(torch.zeros(N, 2))
        if "final_obs" in extras:
            before = obs["policy"].clone()
            extras["final_obs"]["policy"].fill_(99.0)
            assert torch.equal(obs["policy"], before)
            return
    raise AssertionError("no episode ended")


def test_observations_survive_the_next_step() -> None:
    env = GymnasiumVecEnv(SyncVectorEnv([lambda: gymnasium.make("Drift-v0")] * N, copy=False), seed=0)
    first = env.get_observations()
    before = first.clone()
    env.step(torch.ones(N, 2))
    assert torch.equal(first["policy"], before["policy"])


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"The action space is Discrete\(2\). Supported are continuous actions"):
        GymnasiumVecEnv(SyncVectorEnv([Buttons]))


def test_other_observation_spaces_are_refused() -> None:
    with pytest.raises(TypeError, match="The observation 'policy' is a Discrete space. Supported: Box"):
        GymnasiumVecEnv(SyncVectorEnv([lambda: Drift("discrete")]))
