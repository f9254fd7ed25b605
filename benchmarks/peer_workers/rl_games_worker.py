# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""PPO of rl_games, as a worker of ``benchmarks/peers.py``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import work
from gymnasium.spaces import Box
from rl_games.common import env_configurations, vecenv
from rl_games.common.algo_observer import AlgoObserver
from rl_games.common.ivecenv import IVecEnv
from rl_games.torch_runner import Runner
from work import Numbers, Turns


class FreeEnv(IVecEnv):
    """Numbers in the layout that this library wants: a dict of observations."""

    def __init__(self, num_envs: int, num_steps: int, device: str) -> None:
        self._numbers = Numbers(num_envs, num_steps, device)

    def reset(self) -> dict[str, torch.Tensor]:
        return {"obs": self._numbers.observations[self._numbers.step]}

    def step(self, actions: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, dict[str, Any]]:
        numbers, step = self._numbers, self._numbers.advance()
        return self.reset(), numbers.rewards[step], numbers.dones[step], {"time_outs": numbers.time_outs[step]}

    def get_number_of_agents(self) -> int:
        return 1

    def get_env_info(self) -> dict[str, Any]:
        return {
            "action_space": Box(-1, 1, (work.NUM_ACTIONS,), np.float32),
            "observation_space": Box(-np.inf, np.inf, (work.NUM_OBS,), np.float32),
        }


class Phases(AlgoObserver):
    """Tells the turns where a phase ends."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def after_init(self, algo: Any) -> None:
        self._turns.begin()

    def after_steps(self) -> None:
        self._turns.collected()

    def after_print_stats(self, frame: int, epoch_num: int, total_time: float) -> None:
        self._turns.learned()


def configuration(case: dict[str, Any]) -> dict[str, Any]:
    num_envs, num_steps = case["num_envs"], case["num_steps"]
    network = {
        "name": "actor_critic",
        "separate": True,
        "space": {
            "continuous": {
                "mu_activation": "None",
                "sigma_activation": "None",
                "mu_init": {"name": "default"},
                "sigma_init": {"name": "const_initializer", "val": 0},
                "fixed_sigma": True,
            }
        },
        "mlp": {"units": list(case["hidden"]), "activation": "elu", "initializer": {"name": "default"}},
    }
    config = {
        "name": "bench",
        "env_name": "free",
        "train_dir": case["folder"],
        "device": case["device"],
        "device_name": case["device"],
        "multi_gpu": False,
        "torch_compile": case["compile"] is not None,
        "mixed_precision": False,
        "ppo": True,
        "num_actors": num_envs,
        "horizon_length": num_steps,
        "minibatch_size": num_envs * num_steps // work.NUM_MINI_BATCHES,
        "mini_epochs": work.NUM_EPOCHS,
        "normalize_input": True,
        "normalize_value": False,
        "normalize_advantage": True,
        "value_bootstrap": True,
        "learning_rate": work.LEARNING_RATE,
        "lr_schedule": "adaptive",
        "schedule_type": "legacy",
        "kl_threshold": work.DESIRED_KL,
        "gamma": work.GAMMA,
        "tau": work.LAM,
        "e_clip": work.CLIP,
        "clip_value": True,
        "clip_actions": False,
        "entropy_coef": work.ENTROPY,
        "critic_coef": work.VALUE_LOSS,
        "bounds_loss_coef": 0.0,
        "truncate_grads": True,
        "grad_norm": work.MAX_GRAD_NORM,
        "reward_shaper": {"scale_value": 1.0},
        "max_epochs": 10**9,
        "score_to_win": 10**9,
        "save_frequency": 0,
        "save_best_after": 10**9,
        "print_stats": False,
    }
    return {
        "params": {
            "seed": 0,
            "algo": {"name": "a2c_continuous"},
            "model": {"name": "continuous_a2c_logstd"},
            "network": network,
            "config": config,
        }
    }


def main() -> None:
    turns = Turns(version("rl-games"))
    case = turns.case
    vecenv.register("FREE", lambda name, num_actors, **_: FreeEnv(num_actors, case["num_steps"], case["device"]))
    env_configurations.register("free", {"vecenv_type": "FREE", "env_creator": lambda **_: None})
    runner = Runner(Phases(turns))
    runner.load(configuration(case))
    runner.run({"train": True, "play": False})


if __name__ == "__main__":
    main()
