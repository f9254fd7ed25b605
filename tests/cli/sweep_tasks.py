# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An environment for sweeps, whose returns are known beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv


class Fixed(VecEnv):
    """Every step is worth ``reward``, an episode has two steps. Above 9 the simulator breaks in its third step.

    ``waits`` names a pipe: in step 12 the environment writes into it, and goes on when it has read the pipe of that
    name with ``_on`` at its end. Files in their places let it go on at once.
    """

    def __init__(self, num_envs: int, reward: float, waits: str = "") -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, 2
        self.device, self.cfg = "cpu", {}
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long)
        self._reward, self._waits, self._steps = reward, waits, 0

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": torch.zeros(self.num_envs, 1)}, [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self._steps += 1
        if self._reward > 9 and self._steps == 3:
            raise RuntimeError("the simulator broke")
        if self._steps == 12 and self._waits:
            Path(self._waits).write_text("waiting")
            Path(f"{self._waits}_on").read_text()
        dones = torch.full((self.num_envs,), self._steps % 2 == 0)
        rewards = torch.full((self.num_envs,), float(self._reward))
        return self.get_observations(), rewards, dones, {"time_outs": torch.zeros_like(dones)}


def fixed(num_envs: int, seed: int, device: str, reward: float, by_seed: bool = False, waits: str = "") -> Fixed:
    """Make the environment; ``by_seed`` adds a part of the seed to the reward."""
    return Fixed(num_envs, reward + seed % 7 * by_seed, waits)


def crash(num_envs: int, seed: int, device: str) -> Fixed:
    """End the process as a broken simulator does."""
    os.abort()
