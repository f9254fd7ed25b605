# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A model of your own: attention over the rays of a range scan, before the usual MLP.

    python examples/custom_model.py

A subclass of MLPModel replaces what lies between observations and MLP (the latent) and its size, and puts the same into
its exports. The environment is a robot that drives towards a wall and has to find the gap in it.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.env import VecEnv
from rsl_rl.models import MLPModel
from rsl_rl.runners import OnPolicyRunner

NUM_RAYS = 24


class ScanAttention(nn.Module):
    """Every ray becomes a score and a value; the latent is the mean of the values, weighted by the scores."""

    def __init__(self, num_rays: int, size: int) -> None:
        super().__init__()
        self.num_rays = num_rays
        self.register_buffer("direction", torch.linspace(-1.0, 1.0, num_rays), persistent=False)
        self.ray = nn.Sequential(nn.Linear(2, 32), nn.ELU(), nn.Linear(32, 1 + size))

    def forward(self, vector: torch.Tensor) -> torch.Tensor:
        """Return [..., rest + size] for [..., rest + num_rays]: the scan has to be the last group."""
        rest, scan = vector[..., : -self.num_rays], vector[..., -self.num_rays :]
        rays = self.ray(torch.stack([scan, self.direction.expand_as(scan)], dim=-1))  # [..., num_rays, 1 + size]
        attention = torch.softmax(rays[..., :1], dim=-2)
        return torch.cat([rest, (attention * rays[..., 1:]).sum(dim=-2)], dim=-1)


class ScanModel(MLPModel):
    """An MLP that sees the scan through attention."""

    def __init__(self, obs: TensorDict, obs_groups: Any, obs_set: str, output_dim: int, size: int = 8, **options: Any):
        self.size = size  # _get_latent_dim is asked while MLPModel is built
        super().__init__(obs, obs_groups, obs_set, output_dim, **options)
        self.attention = ScanAttention(NUM_RAYS, size)

    def _get_latent_dim(self) -> int:
        return self.obs_dim - NUM_RAYS + self.size

    def get_latent(self, obs: Any, masks: Any = None, hidden_state: Any = None) -> torch.Tensor:
        return self.attention(super().get_latent(obs, masks, hidden_state))

    def as_jit(self) -> nn.Module:
        return self._with_attention(super().as_jit())

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        return self._with_attention(super().as_onnx(verbose))

    def _with_attention(self, policy: Any) -> nn.Module:
        """Put a copy of the attention between the normalizer and the MLP of a policy that is exported."""
        policy.obs_normalizer = nn.Sequential(policy.obs_normalizer, copy.deepcopy(self.attention).cpu().eval())
        return policy


class GapEnv(VecEnv):
    """A robot drives at 1 m/s towards a wall, measures ranges, and moves sideways to find the gap in the wall."""

    def __init__(self, num_envs: int = 128, seed: int = 0, device: str = "cpu") -> None:
        self.num_envs, self.num_actions, self.max_episode_length, self.device = num_envs, 1, 20, device
        self.cfg = {"num_envs": num_envs, "seed": seed}
        self.generator = torch.Generator(device).manual_seed(seed)
        self.tangents = torch.linspace(-1.0, 1.0, NUM_RAYS, device=device).mul(1.2).tan()
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.gap = self.new_gaps()

    def new_gaps(self) -> torch.Tensor:
        """Return where the gap is, as seen from the robot, [N], in m."""
        return 2.0 * torch.rand(self.num_envs, generator=self.generator, device=self.device) - 1.0

    def get_observations(self) -> TensorDict:
        distance = 2.0 - 0.1 * self.episode_length_buf.unsqueeze(1)
        is_open = (distance * self.tangents - self.gap.unsqueeze(1)).abs() < 0.3
        scan = torch.where(is_open, 5.0, distance * (1.0 + self.tangents.square()).sqrt()).clamp(max=5.0) / 5.0
        return TensorDict({"distance": distance, "scan": scan}, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        self.gap = self.gap - 0.1 * actions[:, 0].clamp(-1.0, 1.0)
        self.episode_length_buf = self.episode_length_buf + 1
        dones = self.episode_length_buf >= self.max_episode_length
        passed = dones & (self.gap.abs() < 0.3)
        rewards = passed.float() - 0.1 * self.gap.abs()
        extras = {"time_outs": torch.zeros_like(dones), "log": {"distance_to_gap": self.gap.abs().mean()}}
        self.gap = torch.where(dones, self.new_gaps(), self.gap)
        self.episode_length_buf = torch.where(dones, 0, self.episode_length_buf)
        return self.get_observations(), rewards, dones, extras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    model = {"class_name": "custom_model:ScanModel", "size": 8, "hidden_dims": [32, 32]}
    cfg = {
        "num_steps_per_env": 20,
        "save_interval": 50,
        "obs_groups": {"actor": ["distance", "scan"], "critic": ["distance", "scan"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5}},
        "critic": model,
        "algorithm": {"class_name": "PPO", "learning_rate": 1e-3, "entropy_coef": 0.0},
    }
    runner = OnPolicyRunner(GapEnv(128, 1, arguments.device), cfg, log_dir="runs/scan", device=arguments.device)
    runner.learn(arguments.iterations)
    runner.export_policy_to_onnx("runs/scan/exports")  # raises if the file does not act like the policy
    runner.export_policy_to_jit("runs/scan/exports")

    env, policy = GapEnv(1000, seed=2, device=arguments.device), runner.get_inference_policy()
    obs, rewards = env.get_observations(), torch.zeros(1000)
    with torch.inference_mode():
        for _ in range(env.max_episode_length):
            obs, rewards, _, _ = env.step(policy(obs))
    passed = (rewards > 0.5).float().mean().item()
    print(
        f"{100 * passed:.0f} % of 1000 robots find the gap; a robot that drives straight on does in 30 % of all cases"
    )
    assert passed > 0.3


if __name__ == "__main__":
    main()
