# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO of stable-baselines3, as a worker of ``benchmarks/peers.py``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import work
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from work import Numbers, Turns


class FreeEnv(VecEnv):
    """Numbers in the layout that this library wants: NumPy arrays and a dict for every environment."""

    def __init__(self, num_envs: int, num_steps: int) -> None:
        super().__init__(
            num_envs, Box(-np.inf, np.inf, (work.NUM_OBS,), np.float32), Box(-1, 1, (work.NUM_ACTIONS,), np.float32)
        )
        self._numbers = numbers = Numbers(num_envs, num_steps, "cpu")
        self._observations, self._rewards = numbers.observations.numpy(), numbers.rewards.numpy()
        self._dones = numbers.dones.numpy()
        self._time_outs = numbers.time_outs.numpy()
        self._no_infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]

    def reset(self) -> np.ndarray:
        return self._observations[self._numbers.step].copy()

    def step_async(self, actions: np.ndarray) -> None:
        pass

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        step = self._numbers.advance()
        infos = list(self._no_infos)
        for env in np.flatnonzero(self._dones[step]):
            infos[env] = {
                "terminal_observation": self._observations[step, env].copy(),
                "TimeLimit.truncated": bool(self._time_outs[step, env]),
            }
        return self._observations[step].copy(), self._rewards[step].copy(), self._dones[step].copy(), infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        pass

    def env_method(self, method_name: str, *arguments: Any, indices: Any = None, **options: Any) -> list[Any]:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class Phases(BaseCallback):
    """Tells the turns where a phase ends."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._is_first = True

    def _on_rollout_start(self) -> None:
        if self._is_first:
            self._is_first = False
            self._turns.begin()
        else:
            self._turns.learned()

    def _on_rollout_end(self) -> None:
        self._turns.collected()

    def _on_step(self) -> bool:
        return True


def main() -> None:
    turns = Turns(version("stable-baselines3"))
    case = turns.case
    num_envs, num_steps, hidden = case["num_envs"], case["num_steps"], list(case["hidden"])
    env = VecNormalize(FreeEnv(num_envs, num_steps), norm_obs=True, norm_reward=False)
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=work.LEARNING_RATE,
        n_steps=num_steps,
        batch_size=num_envs * num_steps // work.NUM_MINI_BATCHES,
        n_epochs=work.NUM_EPOCHS,
        gamma=work.GAMMA,
        gae_lambda=work.LAM,
        clip_range=work.CLIP,
        clip_range_vf=work.CLIP,
        ent_coef=work.ENTROPY,
        vf_coef=work.VALUE_LOSS,
        max_grad_norm=work.MAX_GRAD_NORM,
        policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": torch.nn.ELU},
        device=case["device"],
    )
    model.learn(10**12, callback=Phases(turns), log_interval=None)


if __name__ == "__main__":
    main()
