# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO of skrl, as a worker of ``benchmarks/peers.py``."""

from __future__ import annotations

import logging
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import work
from gymnasium.spaces import Box
from skrl import logger
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import Wrapper
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer
from torch import nn
from work import Numbers, Turns

OBSERVATIONS = Box(-np.inf, np.inf, (work.NUM_OBS,), np.float32)
ACTIONS = Box(-1, 1, (work.NUM_ACTIONS,), np.float32)


class FreeEnv(Wrapper):
    """Numbers in the layout that this library wants: rewards and ends as columns."""

    def __init__(self, num_envs: int, num_steps: int, device: str) -> None:
        spaces = {"observation_space": OBSERVATIONS, "action_space": ACTIONS, "state_space": None}
        super().__init__(SimpleNamespace(num_envs=num_envs, num_agents=1, device=device, **spaces))
        numbers = self._numbers = Numbers(num_envs, num_steps, device)
        self._terminated = numbers.dones & ~numbers.time_outs

    def reset(self) -> tuple[torch.Tensor, dict[str, Any]]:
        return self._numbers.observations[self._numbers.step], {}

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Any]:
        numbers, step = self._numbers, self._numbers.advance()
        rewards, terminated = numbers.rewards[step].unsqueeze(1), self._terminated[step].unsqueeze(1)
        return numbers.observations[step], rewards, terminated, numbers.time_outs[step].unsqueeze(1), {}

    def state(self) -> None:
        return None

    def render(self) -> None:
        pass

    def close(self) -> None:
        pass


def layers(hidden: list[int], outputs: int) -> nn.Sequential:
    sizes = [work.NUM_OBS, *hidden]
    parts: list[nn.Module] = []
    for size_in, size_out in zip(sizes, hidden, strict=False):
        parts += [nn.Linear(size_in, size_out), nn.ELU()]
    return nn.Sequential(*parts, nn.Linear(sizes[-1], outputs))


class Actor(GaussianMixin, Model):
    def __init__(self, hidden: list[int], device: str) -> None:
        Model.__init__(self, observation_space=OBSERVATIONS, action_space=ACTIONS, device=device)
        GaussianMixin.__init__(self)
        self.layers = layers(hidden, work.NUM_ACTIONS)
        self.log_std = nn.Parameter(torch.zeros(work.NUM_ACTIONS))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return self.layers(inputs["observations"]), {"log_std": self.log_std}


class Critic(DeterministicMixin, Model):
    def __init__(self, hidden: list[int], device: str) -> None:
        Model.__init__(self, observation_space=OBSERVATIONS, action_space=ACTIONS, device=device)
        DeterministicMixin.__init__(self)
        self.layers = layers(hidden, 1)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        return self.layers(inputs["observations"]), {}


class TimedPPO(PPO):
    """Tells the turns where a phase ends."""

    turns: Turns

    def update(self, *, timestep: int, timesteps: int) -> None:
        self.turns.collected()
        super().update(timestep=timestep, timesteps=timesteps)
        self.turns.learned()


def main() -> None:
    turns = Turns(version("skrl"))
    logger.setLevel(logging.WARNING)
    case = turns.case
    num_envs, num_steps, hidden, device = case["num_envs"], case["num_steps"], list(case["hidden"]), case["device"]
    cfg = PPO_CFG(
        rollouts=num_steps,
        learning_epochs=work.NUM_EPOCHS,
        mini_batches=work.NUM_MINI_BATCHES,
        discount_factor=work.GAMMA,
        gae_lambda=work.LAM,
        learning_rate=work.LEARNING_RATE,
        learning_rate_scheduler=KLAdaptiveLR,
        learning_rate_scheduler_kwargs={"kl_threshold": work.DESIRED_KL},
        observation_preprocessor=RunningStandardScaler,
        observation_preprocessor_kwargs={"size": OBSERVATIONS, "device": device},
        grad_norm_clip=work.MAX_GRAD_NORM,
        ratio_clip=work.CLIP,
        value_clip=work.CLIP,
        entropy_loss_scale=work.ENTROPY,
        value_loss_scale=work.VALUE_LOSS,
        time_limit_bootstrap=True,
    )
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    agent = TimedPPO(
        models={"policy": Actor(hidden, device).to(device), "value": Critic(hidden, device).to(device)},
        memory=RandomMemory(memory_size=num_steps, num_envs=num_envs, device=device),
        observation_space=OBSERVATIONS,
        action_space=ACTIONS,
        device=device,
        cfg=cfg,
    )
    agent.turns = turns
    trainer = SequentialTrainer(
        env=FreeEnv(num_envs, num_steps, device),
        agents=agent,
        cfg={"timesteps": 10**12, "headless": True, "disable_progressbar": True, "close_environment_at_exit": False},
    )
    turns.begin()
    trainer.train()


if __name__ == "__main__":
    main()
