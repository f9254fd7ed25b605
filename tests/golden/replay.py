# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Reading reference cases, and an environment that plays their script.

``case.json`` holds the configuration and scalar results, ``tensors.safetensors`` everything else; both were measured
by running release 5.5.1 as a black box on a CPU in float32.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file
from tensordict import TensorDict

from rsl_rl.env import VecEnv

CASES = Path(__file__).parent / "cases"
RELATIVE_TOLERANCE = 1e-3


def load_case(name: str) -> tuple[dict, dict[str, torch.Tensor]]:
    return json.loads((CASES / name / "case.json").read_text()), load_file(CASES / name / "tensors.safetensors")


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def assert_agrees(actual: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    torch.testing.assert_close(
        actual.reshape(expected.shape).to(expected.dtype),
        expected,
        rtol=RELATIVE_TOLERANCE,
        atol=1e-5,
        msg=lambda message: f"{what}: {message}",
    )


class ScriptedEnv(VecEnv):
    """Plays recorded observations, rewards and dones whatever the actions, in buffers that it overwrites."""

    def __init__(self, case: dict, tensors: dict[str, torch.Tensor]) -> None:
        self.num_envs = case["num_envs"]
        self.num_actions = case["num_actions"]
        self.max_episode_length = 1000
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.device = "cpu"
        self.cfg = {}
        self.unwrapped = SimpleNamespace(step_dt=case["step_dt"])
        self._script = tensors
        self._groups = list(case["obs_shapes"])
        self._buffers = {group: torch.zeros_like(tensors[f"it0/obs/{group}"][0]) for group in self._groups}
        self.start(0)

    def start(self, iteration: int) -> None:
        self._iteration, self._step = iteration, 0

    def get_observations(self) -> TensorDict:
        for group, buffer in self._buffers.items():
            buffer.copy_(self._script[f"it{self._iteration}/obs/{group}"][self._step])
        return TensorDict(dict(self._buffers), [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        prefix, step = f"it{self._iteration}", self._step
        self._step += 1
        extras = {"time_outs": self._script[f"{prefix}/time_outs"][step]}
        rewards, dones = self._script[f"{prefix}/rewards"][step], self._script[f"{prefix}/dones"][step]
        return self.get_observations(), rewards, dones, extras


def negate(
    env: VecEnv, obs: TensorDict | None, actions: torch.Tensor | None
) -> tuple[TensorDict | None, torch.Tensor | None]:
    """Append the sign-flipped observations and actions: what the reference cases call "negate"."""
    flipped = None
    if obs is not None:
        flipped = TensorDict({key: torch.cat([value, -value]) for key, value in obs.items()}, [2 * len(obs)])
    return flipped, None if actions is None else torch.cat([actions, -actions])
