# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An algorithm of your own: PPO with a loss that makes actions smooth.

    python examples/custom_algorithm.py

The loss is the spatial one of "Regularizing Action Policies for Smooth Control" (Mysore et al., 2021): observations
that lie close to each other should lead to actions that do. The program trains PPO with and without it on a quadrotor
with noisy sensors, and compares how much the actions change from step to step.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from custom_environment import TRAIN_CFG, PlanarQuadrotor, mean_return

from rsl_rl.algorithms import PPO
from rsl_rl.extensions import Extension, ExtensionLoss
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.storage import RolloutStorage


class Smoothness(Extension):
    """Mean squared distance between the mean actions for an observation and for one close to it."""

    loss_name = "smoothness"  # logged as Loss/smoothness

    def __init__(self, coef: float, noise: float) -> None:
        self.coef, self.noise = coef, noise

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:
        assert batch.observations is not None
        nearby = batch.observations.apply(lambda value: value + self.noise * torch.randn_like(value))
        difference = actor(nearby, batch.masks, batch.hidden_states[0]) - policy.mean
        loss = difference.square().sum(dim=-1).mean()
        return ExtensionLoss(added=self.coef * loss, logged=loss.detach())


class SmoothPPO(PPO):
    """PPO with two more options; those of PPO stay as they are."""

    def __init__(self, *args: Any, smoothness_coef: float = 1.0, smoothness_noise: float = 0.05, **kwargs: Any) -> None:
        self.smoothness_coef, self.smoothness_noise = smoothness_coef, smoothness_noise
        super().__init__(*args, **kwargs)

    def own_extensions(self) -> list[Extension]:
        return [Smoothness(self.smoothness_coef, self.smoothness_noise)]


def action_change(policy: Any, device: str) -> float:
    """Return the mean absolute change of an action from one step to the next."""
    env = PlanarQuadrotor(num_envs=64, seed=3, device=device)
    obs, changes, last = env.get_observations(), [], None
    with torch.inference_mode():
        for _ in range(100):
            actions = policy(obs)
            if last is not None:
                changes.append((actions - last).abs().mean().item())
            last = actions
            obs, *_ = env.step(actions)
    return sum(changes) / len(changes)


def train(algorithm: dict[str, Any], iterations: int, device: str, log_dir: str) -> tuple[float, float]:
    """Return mean return and action change of a policy that was trained with these options of the algorithm."""
    torch.manual_seed(1)
    env = PlanarQuadrotor(256, seed=1, device=device)
    cfg = {**TRAIN_CFG, "algorithm": {**TRAIN_CFG["algorithm"], **algorithm}}
    runner = OnPolicyRunner(env, cfg, log_dir=log_dir, device=device)
    runner.learn(iterations, init_at_random_ep_len=True)
    policy = runner.get_inference_policy()
    return mean_return(policy, device), action_change(policy, device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--smoothness-coef", type=float, default=1.0)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    smooth = {"class_name": "custom_algorithm:SmoothPPO", "smoothness_coef": arguments.smoothness_coef}
    results = {}
    for name, algorithm in {"PPO": {"class_name": "PPO"}, "SmoothPPO": smooth}.items():
        results[name] = train(algorithm, arguments.iterations, arguments.device, f"runs/smooth/{name}")
    for name, (reached, change) in results.items():
        print(f"{name:10} return {reached:.2f}   change of an action per step {change:.3f}")
    assert results["SmoothPPO"][1] < results["PPO"][1], "the actions have not become smoother"


if __name__ == "__main__":
    main()
