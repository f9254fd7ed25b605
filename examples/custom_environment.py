# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An environment of your own: hundreds of planar quadrotors that learn to hover, in plain PyTorch.

    python examples/custom_environment.py
    python examples/custom_environment.py --device cuda --num-envs 4096

Shows everything that a VecEnv has: two groups of observations (the policy does not see the wind, the critic does),
episodes that end by a crash or by their time limit, a reset of those that ended, and reward terms for the log.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner


class PlanarQuadrotor(VecEnv):
    """A quadrotor in a vertical plane: two rotors, gravity, and a wind that is another in every episode."""

    def __init__(self, num_envs: int = 256, seed: int = 0, device: str = "cpu", sensor_noise: float = 0.02) -> None:
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 2, 200
        self.device, self.step_dt, self.sensor_noise = device, 0.02, sensor_noise
        self.cfg = {"num_envs": num_envs, "seed": seed, "sensor_noise": sensor_noise}  # logged with the run
        self.generator = torch.Generator(device).manual_seed(seed)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.position, self.velocity = torch.zeros(2, num_envs, 3, device=device)  # of x, z and the pitch angle
        self.noise = torch.zeros(num_envs, 6, device=device)
        self.wind = torch.zeros(num_envs, 1, device=device)
        self.reset(torch.ones(num_envs, dtype=torch.bool, device=device))

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        thrust = 0.5 * 9.81 * (1.0 + 0.5 * actions.clamp(-1.0, 1.0))  # of each rotor per mass; at 0 they carry it
        pitch = self.position[:, 2]
        force = thrust.sum(dim=1)
        torque = 10.0 * (thrust[:, 1] - thrust[:, 0])
        acceleration = torch.stack([force * pitch.sin(), force * pitch.cos() - 9.81, torque], dim=1)
        acceleration[:, 0] += self.wind[:, 0]
        self.velocity = self.velocity + self.step_dt * (acceleration - 0.1 * self.velocity)
        self.position = self.position + self.step_dt * self.velocity
        # Here and not in get_observations, which gives the same however often it is called.
        self.noise = self.sensor_noise * torch.randn(self.noise.shape, generator=self.generator, device=self.device)
        self.episode_length_buf = self.episode_length_buf + 1

        distance, tilt = self.position[:, :2].norm(dim=1), self.position[:, 2].abs()
        terms = {"close": torch.exp(-distance.square()), "effort": -0.05 * actions.square().sum(dim=1)}
        rewards = self.step_dt * torch.stack(list(terms.values())).sum(dim=0)
        crashed = (distance > 3.0) | (tilt > 1.5)
        time_outs = (self.episode_length_buf >= self.max_episode_length) & ~crashed
        log = {f"Episode_Reward/{name}": term.mean() for name, term in terms.items()}
        # The true last observation: what a timed-out episode would still have been worth is judged by it.
        extras = {"time_outs": time_outs, "log": log, "final_obs": self.get_observations()}
        dones = crashed | time_outs
        self.reset(dones)
        return self.get_observations(), rewards, dones, extras

    def get_observations(self) -> TensorDict:
        state = torch.cat([self.position, self.velocity], dim=1)
        groups = {"policy": state + self.noise, "privileged": torch.cat([state, self.wind], dim=1)}
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    def reset(self, where: torch.Tensor) -> None:
        """Start new episodes in some of the environments, [N], bool, without waiting for the device."""
        fresh = 2.0 * torch.rand(self.num_envs, 7, generator=self.generator, device=self.device) - 1.0
        mask = where.unsqueeze(1)
        self.position = torch.where(mask, fresh[:, 0:3] * fresh.new_tensor([1.0, 1.0, 0.3]), self.position)
        self.velocity = torch.where(mask, 0.5 * fresh[:, 3:6], self.velocity)
        self.wind = torch.where(mask, fresh[:, 6:7], self.wind)
        self.episode_length_buf = torch.where(where, 0, self.episode_length_buf)


TRAIN_CFG = {
    "num_steps_per_env": 24,
    "save_interval": 50,
    "obs_groups": {"actor": ["policy"], "critic": ["privileged"]},
    "actor": {
        "class_name": "MLPModel",
        "hidden_dims": [64, 64],
        "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5},
    },
    "critic": {"class_name": "MLPModel", "hidden_dims": [64, 64]},
    "algorithm": {"class_name": "PPO", "learning_rate": 1e-3, "entropy_coef": 0.0},
}


def mean_return(policy: Callable[[TensorDict], torch.Tensor], device: str) -> float:
    """Play one episode in each of 64 new environments."""
    env = PlanarQuadrotor(num_envs=64, seed=2, device=device)
    obs, total, runs = env.get_observations(), torch.zeros(64, device=device), torch.ones(64, device=device)
    with torch.inference_mode():
        for _ in range(env.max_episode_length):
            obs, rewards, dones, _ = env.step(policy(obs))
            total, runs = total + runs * rewards, runs * (1.0 - dones.float())
    return total.mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    env = PlanarQuadrotor(arguments.num_envs, seed=1, device=arguments.device)
    runner = OnPolicyRunner(env, TRAIN_CFG, log_dir="runs/quadrotor", device=arguments.device)
    before = mean_return(runner.get_inference_policy(), arguments.device)
    runner.learn(arguments.iterations, init_at_random_ep_len=True)
    after = mean_return(runner.get_inference_policy(), arguments.device)
    print(f"mean return of 64 episodes, of 4 at most: {before:.2f} before training, {after:.2f} after")
    assert after > before, "the policy has not become better"


if __name__ == "__main__":
    main()
