# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An environment whose difficulty grows with success, and whose progress is in the checkpoints.

    python examples/curriculum.py

An environment that has ``state_dict`` and ``load_state_dict`` is saved and restored with every checkpoint: level,
positions and random numbers, so that a resumed run is the run that was interrupted. The program trains, and then goes
on in a new environment, as a new process would. docs/extending.md: what to do where a simulator cannot save its state.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from custom_environment import TRAIN_CFG, PlanarQuadrotor
from tensordict import TensorDict

from rsl_rl.runners import OnPolicyRunner

# Everything that decides what happens next, beside the random numbers.
STATE = ("level", "position", "velocity", "wind", "noise", "episode_length_buf")


class GustyQuadrotor(PlanarQuadrotor):
    """Quadrotors in a wind that grows when most episodes last to their end; at level 1 it is five times as strong."""

    def __init__(self, num_envs: int = 256, seed: int = 0, device: str = "cpu") -> None:
        self.level = torch.zeros((), device=device)  # from 0 to 1
        super().__init__(num_envs, seed, device)

    def reset(self, where: torch.Tensor) -> None:
        super().reset(where)
        self.wind = torch.where(where.unsqueeze(1), self.wind * (1.0 + 4.0 * self.level), self.wind)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        obs, rewards, dones, extras = super().step(actions)
        ended, survived = dones.sum(), extras["time_outs"].sum()
        # Each episode that lasts moves the level up a little, each crash moves it down nine times as far.
        self.level = (self.level + (survived - 9 * (ended - survived)) / (20 * self.num_envs)).clamp(0.0, 1.0)
        extras["log"]["Curriculum/level"] = self.level.clone()
        return obs, rewards, dones, extras

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors and plain data."""
        return {"generator": self.generator.get_state()} | {name: getattr(self, name).clone() for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the saved environment was."""
        if len(state["position"]) != self.num_envs:
            raise ValueError(f"The state is of {len(state['position'])} environments, here are {self.num_envs}.")
        self.generator.set_state(state["generator"].cpu())
        for name in STATE:
            setattr(self, name, state[name].clone().to(self.device))


def make_runner(device: str) -> OnPolicyRunner:
    torch.manual_seed(1)
    return OnPolicyRunner(GustyQuadrotor(256, seed=1, device=device), TRAIN_CFG, "runs/curriculum", device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    first = make_runner(arguments.device)
    first.learn(arguments.iterations, init_at_random_ep_len=True)
    reached = first.env.level.item()

    second = make_runner(arguments.device)
    print(f"level {reached:.3f} after {arguments.iterations} iterations; a new environment: {second.env.level:.3f}")
    second.load("runs/curriculum")  # the newest checkpoint of the folder
    second.learn(1)  # the environment's state is taken over when learning goes on
    print(f"resumed, and one iteration later: {second.env.level:.3f}")
    assert reached > 0.0, "no episode lasted to its end yet: train for longer"
    # It has moved a little since: the level is that of the run, not that of a new environment.
    assert abs(second.env.level.item() - reached) < 0.1


if __name__ == "__main__":
    main()
