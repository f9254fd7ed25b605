# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trains two iterations on scripted data, with any model and engine, in one process or as one of two."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.algorithms.acting import choose_acting
from rsl_rl.env import VecEnv
from rsl_rl.modules import BetaDistribution, GaussianDistribution
from rsl_rl.runners import OnPolicyRunner
from tests.learning.graphs import Graphs

NUM_ENVS, NUM_STEPS, ITERATIONS, EPOCHS, NUM_ACTIONS = 8, 6, 2, 5, 2
STEPS = NUM_STEPS * ITERATIONS + 1
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "lstm": {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6},
    "gru": {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 6},
    "cnn": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [2], "kernel_size": 3, "stride": 2}},
    "beta": {},
}
COMPILE_MODES = ["default", "max-autotune-no-cudagraphs"]
# "traced" runs what torch.compile has traced, forward and backward, without generating code of it.

Learned = dict[str, torch.Tensor]


class ScriptedEnv(VecEnv):
    """Gives numbers that do not depend on the actions, so that rounding is never amplified; some of 8 environments."""

    def __init__(self, envs: list[int]) -> None:
        generator = torch.Generator().manual_seed(7)
        self.num_envs, self.num_actions, self.max_episode_length = len(envs), NUM_ACTIONS, 1000
        self.episode_length_buf = torch.zeros(self.num_envs, dtype=torch.long)
        self.device, self.cfg = "cpu", {}
        self._obs = torch.randn(STEPS, NUM_ENVS, 5, generator=generator)[:, envs]
        self._images = torch.rand(STEPS, NUM_ENVS, 1, 6, 6, generator=generator)[:, envs]
        self._rewards = torch.randn(STEPS, NUM_ENVS, generator=generator)[:, envs] + 1.0
        self._dones = (torch.rand(STEPS, NUM_ENVS, generator=generator) < 0.2)[:, envs]
        self._time_outs = self._dones & (torch.rand(STEPS, NUM_ENVS, generator=generator) < 0.7)[:, envs]
        Noise.noise = torch.randn(STEPS, NUM_ENVS, NUM_ACTIONS, generator=generator)[:, envs]
        self._step = Noise.draws = 0

    def get_observations(self) -> TensorDict:
        return TensorDict({"policy": self._obs[self._step], "camera": self._images[self._step]}, [self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        at = self._step
        self._step += 1
        return self.get_observations(), self._rewards[at], self._dones[at], {"time_outs": self._time_outs[at]}


class Noise:
    """Explores by numbers that belong to the environments, and reports no divergence that rounding could decide on.

    The divergence in the first mini-batch of an update is nothing but rounding, and where it is exactly 0 the learning
    rate stays.
    """

    noise: torch.Tensor
    draws = 0

    def sample(self) -> torch.Tensor:
        sample = self.mean + 0.5 * self.std * Noise.noise[Noise.draws]  # type: ignore[attr-defined]
        Noise.draws += 1
        return sample.clamp(-0.95, 0.95)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return super().kl_divergence(old_params, new_params) + 1.0  # type: ignore[misc]


class ScriptedGaussian(Noise, GaussianDistribution):
    """A Gaussian with scripted exploration."""


class ScriptedBeta(Noise, BetaDistribution):
    """A Beta distribution with scripted exploration."""


def config(model: str, engine: str) -> dict[str, Any]:
    kind: dict[str, Any] = {"class_name": "MLPModel", "hidden_dims": [8], "obs_normalization": True, **MODELS[model]}
    distribution = (
        {"class_name": ScriptedBeta} if model == "beta" else {"class_name": ScriptedGaussian, "init_std": 0.7}
    )
    groups = ["policy", "camera"] if model == "cnn" else ["policy"]
    return {
        "num_steps_per_env": NUM_STEPS,
        "save_interval": 100,
        "obs_groups": {"actor": groups, "critic": groups},
        "actor": {**kind, "distribution_cfg": distribution},
        "critic": kind,
        # One mini-batch has no order, so that one process and two see the same.
        "algorithm": {
            **{"class_name": "PPO", "num_learning_epochs": EPOCHS, "num_mini_batches": 1, "learning_rate": 1e-2},
            **{"clip_param": 0.02, "entropy_coef": 0.1},
        },
        "fast_path": "off" if engine == "eager" else "auto",
        "torch_compile_mode": engine if engine in COMPILE_MODES else "default" if engine == "traced" else None,
    }


def trained(model: str, engine: str = "eager", envs: list[int] | None = None, seed: int = 0) -> Learned:
    """Return the parameters and statistics after two iterations, and the learning rate."""
    torch.manual_seed(seed)
    compile_as_set = torch.compile
    if engine == "traced":
        torch.compile = functools.partial(torch.compile, backend="aot_eager")
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings(
            "error", "The (mini-batch|step of the policy)"
        )  # One that gives up would prove nothing.
        runner = OnPolicyRunner(ScriptedEnv(list(range(NUM_ENVS)) if envs is None else envs), config(model, engine))
        graphs = Graphs()
        if engine == "capture":
            runner.alg.gradient_step.capture(graphs)
            choose_acting(runner.alg, "graph", graph=Graphs())
        runner.learn(ITERATIONS)
    torch.compile = compile_as_set
    if engine == "capture" and model not in ("lstm", "gru"):
        # All but the first two mini-batches, of which the third is made eagerly as well.
        assert graphs.replays == ITERATIONS * EPOCHS - 2
    tensors = {
        f"{name}.{key}": value.clone()
        for name, network in runner.alg.models().items()
        for key, value in network.state_dict().items()
    }
    return tensors | {"learning rate": torch.tensor(runner.alg.learning_rate)}
