# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Small environments for tests."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv


class PointEnv(VecEnv):
    """A point that is pushed along a line and rewarded for staying near 0; pure torch, with private random numbers.

    Observation groups: ``policy`` [N, 2] (position, velocity) and ``privileged`` [N, 3] (with the time left).
    """

    def __init__(self, num_envs: int = 4, max_episode_length: int = 10, seed: int = 0, device: str = "cpu") -> None:
        self.num_envs = num_envs
        self.num_actions = 1
        self.max_episode_length = max_episode_length
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.device = device
        self.cfg = {"seed": seed}
        self._generator = torch.Generator().manual_seed(seed)
        self._state = self._drawn()
        self.final_obs = False

    def _drawn(self) -> torch.Tensor:
        # Drawn on the host: the same numbers on every device.
        return torch.randn(self.num_envs, 2, generator=self._generator).to(self.device, non_blocking=True)

    def get_observations(self) -> TensorDict:
        time_left = 1.0 - self.episode_length_buf.float().unsqueeze(1) / self.max_episode_length
        groups = {"policy": self._state.clone(), "privileged": torch.cat([self._state, time_left], dim=1)}
        return TensorDict(groups, [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self._state[:, 1] += 0.1 * actions[:, 0].clamp(-1, 1)
        self._state[:, 0] += 0.1 * self._state[:, 1]
        self.episode_length_buf += 1
        rewards = 1.0 - self._state[:, 0].abs()
        fell = self._state[:, 0].abs() > 3.0
        time_outs = (self.episode_length_buf >= self.max_episode_length) & ~fell
        dones = fell | time_outs
        extras = {"time_outs": time_outs, "log": {"distance": self._state[:, 0].abs().mean()}}
        if self.final_obs:
            extras["final_obs"] = self.get_observations()
        self._state = torch.where(dones.unsqueeze(1), self._drawn(), self._state)
        self.episode_length_buf = torch.where(dones, 0, self.episode_length_buf)
        return self.get_observations(), rewards, dones, extras

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self._generator.get_state(),
            "state": self._state.cpu().clone(),
            "episode_length_buf": self.episode_length_buf.cpu().clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["state"].shape != self._state.shape:
            raise ValueError(f"The state is of {len(state['state'])} environments, here are {self.num_envs}.")
        self._generator.set_state(state["generator"].cpu())
        self._state = state["state"].to(self.device, copy=True)
        self.episode_length_buf = state["episode_length_buf"].to(self.device, copy=True)


def point_config(**algorithm: object) -> dict:
    """A small training configuration for :class:`PointEnv`."""
    model = {"class_name": "MLPModel", "hidden_dims": [16, 16], "activation": "elu", "obs_normalization": True}
    return {
        "num_steps_per_env": 8,
        "save_interval": 2,
        "obs_groups": {"actor": ["policy"], "critic": ["policy", "privileged"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5}},
        "critic": model,
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 2, "num_mini_batches": 2, **algorithm},
    }
