# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whole episodes of a policy."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv


@dataclass
class Episodes:
    """Outcome of some episodes."""

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    terms: dict[str, float] = field(default_factory=dict)
    """Mean of what the environment reported about all robots, over the steps until the last episode ended."""

    def means(self) -> dict[str, float]:
        """Return mean return, its standard deviation, and mean length."""
        return {
            "return": statistics.fmean(self.returns),
            "return_std": statistics.pstdev(self.returns),
            "length": statistics.fmean(self.lengths),
        }


def play_episodes(env: VecEnv, policy: Callable[[TensorDict], torch.Tensor], num_episodes: int) -> Episodes:
    """Run episodes in all environments side by side.

    Every environment contributes its first episodes, as many as its share: taking the first that end anywhere would
    favour short ones.

    Args:
        env: N environments at the start of their episodes.
        policy: Groups [N, ...] -> actions [N, A]; its ``reset(dones)``, where it has one, is told of episode ends.
        num_episodes: How many; at least one per environment is run.
    """
    share, left_over = divmod(num_episodes, env.num_envs)
    quota = [share + (index < left_over) for index in range(env.num_envs)]
    result, sums, steps = Episodes(), dict[str, float](), 0
    returns, lengths = torch.zeros(env.num_envs), torch.zeros(env.num_envs, dtype=torch.long)
    reset = getattr(policy, "reset", lambda dones=None: None)
    obs = env.get_observations()
    with torch.inference_mode():
        reset()
        while any(quota):
            obs, rewards, dones, extras = env.step(policy(obs).to(env.device))
            reset(dones)
            returns += rewards.cpu()
            lengths += 1
            steps += 1
            for name, value in (extras.get("log") or extras.get("episode") or {}).items():
                sums[name] = sums.get(name, 0.0) + float(torch.as_tensor(value, dtype=torch.float32).mean())
            for index in dones.cpu().nonzero().flatten().tolist():
                if quota[index] > 0:
                    quota[index] -= 1
                    result.returns.append(returns[index].item())
                    result.lengths.append(int(lengths[index]))
                returns[index], lengths[index] = 0.0, 0
    result.terms = {name: total / steps for name, total in sums.items()}
    return result
