# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Discrete actions: a policy that chooses one of several buttons, for Gymnasium's CartPole.

    python examples/discrete_actions.py

Two parts make it: actions that are one-hot vectors, which a wrapper turns into the environment's numbers, and a
categorical distribution over them as the head of the policy. ``MultiDiscrete`` actions are several choices at once.
From the command line, in this folder, with ``env: discrete_actions:make`` in a task and the distribution below.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorActionWrapper, VectorEnv
from torch import nn
from torch.nn import functional

from rsl_rl.env import GymnasiumVecEnv
from rsl_rl.modules import Distribution
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.runners.episodes import play_episodes

Params = tuple[torch.Tensor, ...]


class OneHotActions(VectorActionWrapper):
    """Takes one-hot actions [N, sum of sizes] where the environments take the number of a choice, or several."""

    def __init__(self, envs: VectorEnv) -> None:
        super().__init__(envs)
        space: Any = envs.single_action_space
        self.sizes: list[int] = list(space.nvec) if hasattr(space, "nvec") else [int(space.n)]
        self._start = space.start
        self._is_single = not hasattr(space, "nvec")
        self.single_action_space = gymnasium.spaces.Box(0.0, 1.0, (sum(self.sizes),))
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, envs.num_envs)

    def actions(self, actions: np.ndarray) -> np.ndarray:
        parts = np.split(actions, np.cumsum(self.sizes)[:-1], axis=1)
        chosen = self._start + np.stack([part.argmax(axis=1) for part in parts], axis=1)
        return chosen[:, 0] if self._is_single else chosen


class MostLikely(nn.Module):
    """The one-hot vectors [B, A] of the largest entry of each choice."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        chosen = [functional.one_hot(part.argmax(dim=-1), part.shape[-1]) for part in scores.split(self.sizes, dim=-1)]
        return torch.cat(chosen, dim=-1).to(scores.dtype)


class OneHot(Distribution):
    """Independent choices, each the one-hot vector of one of its options; the network gives their logits [B, A]."""

    def __init__(self, output_dim: int, sizes: Sequence[int] | None = None) -> None:
        super().__init__(output_dim)
        self.most_likely = MostLikely(sizes or [output_dim])  # No sizes: a single choice.
        if sum(self.most_likely.sizes) != output_dim:
            raise ValueError(f"The sizes must add up to the {output_dim} actions, got {sizes}.")

    @property
    def input_dim(self) -> int:
        return self.output_dim

    def update(self, mlp_output: torch.Tensor) -> None:
        parts = mlp_output.split(self.most_likely.sizes, dim=-1)
        self.log_p = torch.cat([part.log_softmax(dim=-1) for part in parts], dim=-1)

    def sample(self) -> torch.Tensor:
        # The largest of the logits plus noise of Gumbel's is a draw (Maddison et al., "A* Sampling", 2014).
        return self.most_likely(self.log_p - torch.empty_like(self.log_p).exponential_().log())

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        return (outputs * self.log_p).sum(dim=-1)

    @property
    def entropy(self) -> torch.Tensor:
        return -(self.mean * self.log_p).sum(dim=-1)

    def kl_divergence(self, old_params: Params, new_params: Params) -> torch.Tensor:
        (old_log_p,), (log_p,) = old_params, new_params
        return (old_log_p.exp() * (old_log_p - log_p)).sum(dim=-1)

    @property
    def mean(self) -> torch.Tensor:
        return self.log_p.exp()

    @property
    def std(self) -> torch.Tensor:
        return (self.mean * (1.0 - self.mean)).sqrt()

    @property
    def params(self) -> Params:
        return (self.log_p,)

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return self.most_likely(mlp_output)

    def as_deterministic_output_module(self) -> nn.Module:
        return self.most_likely


def make(num_envs: int, seed: int, device: str = "cpu", task: str = "CartPole-v1") -> GymnasiumVecEnv:
    """Make environments of Gymnasium with discrete actions; ``env_options: {task: Acrobot-v1}`` chooses others."""
    envs = gymnasium.make_vec(task, num_envs, "sync", vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED})
    return GymnasiumVecEnv(OneHotActions(envs), device=device, seed=seed)


def train_cfg(sizes: Sequence[int] | None = None) -> dict[str, Any]:
    model = {"class_name": "MLPModel", "hidden_dims": [64, 64], "activation": "tanh", "obs_normalization": True}
    head = {"class_name": "discrete_actions:OneHot", "sizes": sizes}
    return {
        "num_steps_per_env": 32,
        "save_interval": 50,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "algorithm": {"class_name": "PPO", "learning_rate": 1.0e-3, "entropy_coef": 0.01, "desired_kl": 0.01},
        "actor": {**model, "distribution_cfg": head},
        "critic": model,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--task", default="CartPole-v1")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    env = make(32, seed=1, device=arguments.device, task=arguments.task)
    cfg = train_cfg(env.envs.sizes)
    runner = OnPolicyRunner(env, cfg, log_dir="runs/discrete_actions", device=arguments.device)

    def mean_return() -> float:
        played = play_episodes(make(16, seed=2, task=arguments.task), runner.get_inference_policy("cpu"), 16)
        return played.means()["return"]

    before = mean_return()
    runner.learn(arguments.iterations)
    after = mean_return()
    runner.export_policy_to_onnx("runs/discrete_actions")  # raises if the file does not act like the policy
    print(f"mean return {before:.1f} -> {after:.1f}")
    assert after > before


if __name__ == "__main__":
    main()
