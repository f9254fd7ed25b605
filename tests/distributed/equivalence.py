# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trains on scripted data, in one process with 64 environments or in two with 32 each, and writes what was learned.

``torchrun --nproc-per-node=2 tests/distributed/equivalence.py FOLDER``
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.distributed import current
from rsl_rl.env import VecEnv
from rsl_rl.modules import GaussianDistribution
from rsl_rl.runners import OnPolicyRunner

NUM_ENVS, NUM_STEPS, ITERATIONS, NUM_ACTIONS = 64, 12, 3, 3
# Mini-batches of recurrent models are environments in their order: the halves of both processes make up each of them.
SHARES = [[*range(0, 16), *range(32, 48)], [*range(16, 32), *range(48, 64)]]
STEPS = NUM_STEPS * ITERATIONS + 1


class ScriptedEnv(VecEnv):
    """Gives numbers that do not depend on the actions; this process's share of the 64 environments."""

    def __init__(self, envs: list[int]) -> None:
        generator = torch.Generator().manual_seed(7)
        self.num_envs, self.num_actions, self.max_episode_length = len(envs), NUM_ACTIONS, 1000
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.device, self.cfg, self.unwrapped = "cpu", {}, SimpleNamespace(step_dt=0.1)
        self._obs = (torch.randn(STEPS, NUM_ENVS, 5, generator=generator) * 2 + 1)[:, envs]
        self._rewards = torch.randn(STEPS, NUM_ENVS, generator=generator)[:, envs]
        self._dones = (torch.rand(STEPS, NUM_ENVS, generator=generator) < 0.03)[:, envs]
        self._time_outs = self._dones & (torch.rand(STEPS, NUM_ENVS, generator=generator) < 0.5)[:, envs]
        ScriptedGaussian.noise = torch.randn(STEPS, NUM_ENVS, NUM_ACTIONS, generator=generator)[:, envs]
        self.step_count = ScriptedGaussian.draws = 0

    def get_observations(self) -> TensorDict:
        obs = self._obs[self.step_count]
        return TensorDict({"policy": obs, "privileged": obs.flip(-1)}, [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        at = self.step_count
        self.step_count += 1
        return self.get_observations(), self._rewards[at], self._dones[at], {"time_outs": self._time_outs[at]}


class ScriptedGaussian(GaussianDistribution):
    """Explores by numbers that belong to the environments."""

    noise: torch.Tensor
    draws = 0

    def sample(self) -> torch.Tensor:
        sample = self.mean + self.std * ScriptedGaussian.noise[ScriptedGaussian.draws]
        ScriptedGaussian.draws += 1
        return sample


def negate(env: Any, obs: TensorDict | None, actions: torch.Tensor | None) -> tuple[Any, Any]:
    mirrored_obs = None if obs is None else torch.cat([obs, TensorDict({k: -v for k, v in obs.items()}, obs.shape)])
    return mirrored_obs, None if actions is None else torch.cat([actions, -actions])


def config(case: str) -> dict[str, Any]:
    model: dict[str, Any] = {"class_name": "MLPModel", "hidden_dims": [16, 16], "obs_normalization": True}
    if "rnn" in case:
        model |= {"class_name": "RNNModel", "rnn_hidden_dim": 8, "rnn_type": "gru"}
    explores = {**model, "distribution_cfg": {"class_name": ScriptedGaussian, "init_std": 0.7}}
    common = {"num_steps_per_env": NUM_STEPS, "save_interval": 100}
    if "distillation" in case:
        algorithm = {"class_name": "Distillation", "gradient_length": 5, "num_learning_epochs": 2}
        groups = {"student": ["policy"], "teacher": ["privileged"]}
        return {**common, "obs_groups": groups, "student": explores, "teacher": model, "algorithm": algorithm}
    # One mini-batch of feed-forward models has no order.
    algorithm = {"class_name": "PPO", "num_learning_epochs": 3, "num_mini_batches": 2 if "rnn" in case else 1}
    if case == "rnd":
        networks = {"num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 5.0}
        algorithm["rnd_cfg"] = {**networks, "state_normalization": True, "reward_normalization": True}
    if case == "symmetry":
        algorithm["symmetry_cfg"] = {
            **{"data_augmentation_func": negate, "use_data_augmentation": True},
            **{"use_mirror_loss": True, "mirror_loss_coeff": 0.5},
        }
    if case == "symmetric rnn":
        # Not Adam: images cancel the gradients of some biases, and it would divide what rounding leaves by itself.
        algorithm |= {"optimizer": "sgd", "symmetry_cfg": {"data_augmentation_func": negate, "equivariant": True}}
    if case == "per mini-batch":
        algorithm["normalize_advantage_per_mini_batch"] = True
    groups = {"actor": ["policy"], "critic": ["policy", "privileged"], "rnd_state": ["policy"]}
    return {**common, "obs_groups": groups, "actor": explores, "critic": model, "algorithm": algorithm}


CASES = ["mlp", "rnn", "rnd", "symmetry", "symmetric rnn", "per mini-batch", "distillation", "distillation rnn"]


def trained(case: str, envs: list[int], seed: int = 0) -> dict[str, Any]:
    """Return parameters, statistics, learning rate and log after three iterations."""
    torch.manual_seed(seed)
    runner = OnPolicyRunner(ScriptedEnv(envs), config(case))
    if hasattr(runner.alg, "teacher_loaded"):
        runner.alg.teacher_loaded = True
    runner.learn(ITERATIONS)
    tensors = {
        f"{index}.{name}": tensor.clone()
        for index, model in enumerate(runner.alg.models().values())
        for name, tensor in model.state_dict().items()
    }
    return {
        "tensors": tensors,
        "learning_rate": runner.alg.learning_rate,
        "steps": runner.logger.tot_timesteps,
        "returns": sorted(runner.logger.rewbuffer),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    import os

    rank = int(os.environ["RANK"])
    # Only the parameters of process 0 count.
    results = {case: trained(case, SHARES[rank], seed=rank) for case in CASES}
    assert current().size == 2
    torch.save(results, Path(sys.argv[1]) / f"rank_{rank}.pt")
