# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""On a GPU: torch itself raises if a step or a mini-batch waits for the device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from tests.envs import point_config

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class DeviceEnv(VecEnv):
    """Numbers that were drawn beforehand, on the GPU."""

    def __init__(self, num_envs: int = 64) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, 100
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device="cuda")
        self.device, self.cfg = "cuda", {}
        self._rewards = torch.randn(num_envs, device="cuda")
        self._dones = torch.rand(num_envs, device="cuda") < 0.1
        groups = {"policy": torch.randn(num_envs, 2), "privileged": torch.randn(num_envs, 3)}
        self._obs = TensorDict(groups, [num_envs]).to("cuda")

    def get_observations(self) -> TensorDict:
        return self._obs

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        return self._obs, self._rewards, self._dones, {"time_outs": self._dones}


@pytest.fixture
def no_synchronization() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_collecting_and_learning_wait_once_each(request: pytest.FixtureRequest) -> None:
    runner = OnPolicyRunner(DeviceEnv(), point_config(), device="cuda")
    runner.learn(2)
    alg, env = runner.alg, runner.env
    end = alg.gradient_step.end
    request.getfixturevalue("no_synchronization")

    def waiting_end(rows: list[torch.Tensor]) -> dict[str, float]:
        torch.cuda.set_sync_debug_mode("default")
        return end(rows)

    alg.gradient_step.end = waiting_end
    with torch.inference_mode():
        obs = env.get_observations()
        for _ in range(8):
            obs, rewards, dones, extras = env.step(alg.act(obs))
            alg.process_env_step(obs, rewards, dones, extras)
            runner.logger.process_env_step(rewards, dones, extras)
        alg.compute_returns(obs)
    assert all(torch.isfinite(torch.tensor(loss)) for loss in alg.update().values())
