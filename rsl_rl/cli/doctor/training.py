# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A training of seconds: a point learns to stay at a target. It needs no simulator."""

from __future__ import annotations

import os
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv, make_env
from rsl_rl.export import export_onnx
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.console import SilentConsole

NUM_ENVS, EPISODE_LENGTH = 64, 16


class Reach(VecEnv):
    """A point on a line; the action is its velocity, the reward minus its squared distance from 0.

    Group ``policy`` [N, 1] is its position, at first uniform within -1 and 1.
    """

    def __init__(self, device: str, seed: int = 0) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = NUM_ENVS, 1, EPISODE_LENGTH
        self.device, self.cfg = device, {}
        self.episode_length_buf = torch.zeros(NUM_ENVS, dtype=torch.long, device=device)
        self._generator = torch.Generator().manual_seed(seed)
        self._position = self._fresh()

    def get_observations(self) -> TensorDict:
        """Return the positions."""
        return TensorDict({"policy": self._position.clone()}, [NUM_ENVS])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Move the points."""
        self._position = self._position + 0.3 * actions.clamp(-1, 1)
        rewards = -self._position.square().squeeze(1)
        self.episode_length_buf += 1
        dones = self.episode_length_buf >= EPISODE_LENGTH
        self._position = torch.where(dones.unsqueeze(1), self._fresh(), self._position)
        self.episode_length_buf = torch.where(dones, 0, self.episode_length_buf)
        return self.get_observations(), rewards, dones, {"time_outs": dones}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides what happens next."""
        return {
            "generator": self._generator.get_state(),
            "position": self._position.clone(),
            "lengths": self.episode_length_buf.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._generator.set_state(state["generator"].cpu())
        self._position = state["position"].to(self.device).clone()
        self.episode_length_buf = state["lengths"].to(self.device).clone()

    def _fresh(self) -> torch.Tensor:
        return (2 * torch.rand(NUM_ENVS, 1, generator=self._generator) - 1).to(self.device)


def make_runner(env: VecEnv, folder: str | None, device: str) -> OnPolicyRunner:
    """Return a quiet runner with small models."""
    model = {"class_name": "MLPModel", "hidden_dims": [32, 32], "obs_normalization": True}
    actor = {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5}}
    groups = [str(group) for group in env.get_observations().keys()]  # noqa: SIM118 (a TensorDict)
    config = {
        "num_steps_per_env": EPISODE_LENGTH,
        "save_interval": 100,
        "obs_groups": {"actor": groups, "critic": groups},
        "logger": None,
        "actor": actor,
        "critic": model,
        "algorithm": {"class_name": "PPO", "entropy_coef": 0.0},
    }
    runner = OnPolicyRunner(env, config, log_dir=folder, device=device)
    runner.logger.console = SilentConsole()
    return runner


def train_and_check(folder: str, device: str) -> str:
    """Train in an empty folder, resume from a checkpoint, export, and compare; say what was reached, or raise."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    runner = make_runner(Reach(device), os.path.join(folder, "run"), device)
    runner.learn(1)
    first = mean_reward(runner)
    runner.learn(19)
    reached = mean_reward(runner)
    # Of what can be reached all but a tenth; an untrained policy drifts away.
    if not reached > first + 0.5 * abs(first):
        raise RuntimeError(f"nothing was learned: the reward went from {first:.2f} to {reached:.2f}")
    checkpoint = os.path.join(folder, "checkpoint.pt")
    runner.save(checkpoint)
    runner.learn(2)
    resumed = make_runner(Reach(device, seed=1), None, device)
    resumed.load(checkpoint)
    resumed.learn(2)
    pairs = zip(runner.alg.get_policy().parameters(), resumed.alg.get_policy().parameters(), strict=True)
    difference = max((one - other).abs().max().item() for one, other in pairs)
    if not difference <= (0 if device == "cpu" else 1e-2):
        raise RuntimeError(f"a resumed training is not the one that was interrupted: it differs by {difference:.0e}")
    report = export_onnx(runner.get_inference_policy(device="cpu"), os.path.join(folder, "policy.onnx"))
    same = "the same bit for bit" if difference == 0 else f"within {difference:.0e}"
    return (
        f"reward {first:.2f} to {reached:.2f} in 20 iterations; resumed from its checkpoint: {same}; "
        f"ONNX differs by {report.max_difference:.0e}"
    )


def mean_reward(runner: OnPolicyRunner) -> float:
    """Return the mean return of the last episodes."""
    return sum(runner.logger.rewbuffer) / max(1, len(runner.logger.rewbuffer))


def try_environment(name: str) -> str:
    """Train two iterations on a simulator; raises RuntimeError where a parameter is not finite afterwards."""
    torch.set_num_threads(1)
    env = make_env(name, num_envs=4, seed=1)
    runner = make_runner(env, None, "cpu")
    runner.learn(2)
    if not all(parameter.isfinite().all() for parameter in runner.alg.get_policy().parameters()):
        raise RuntimeError("a parameter is not finite after two iterations")
    return f"{name} was trained for two iterations"
