# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every kind of policy and training that a device has to be tried with, and an environment for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.env import VecEnv
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from rsl_rl.telemetry.console import SilentConsole

NUM_STEPS, EPISODE_LENGTH, SIZE = 8, 6, 6

_MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "lstm": {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 6},
    "gru": {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 6, "rnn_num_layers": 2},
    "cnn": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [2], "kernel_size": 3, "stride": 2}},
}


class Spot(VecEnv):
    """A spot that is pushed around; the reward is the negative square of its place.

    Groups: ``policy`` [N, 2], its place and speed; ``privileged`` [N, 3], the time left as well; ``camera``
    [N, 1, 6, 6], where it is. What is random is drawn on the host: the same numbers on every device.
    """

    def __init__(self, num_envs: int, device: str) -> None:
        """Start with N spots at random places."""
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, EPISODE_LENGTH
        self.device, self.cfg, self.step_dt = device, {}, 0.1
        self.unwrapped = self
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.long, device=device)
        self._generator = torch.Generator().manual_seed(0)
        self._ticks = torch.linspace(-2.0, 2.0, SIZE * SIZE).view(1, 1, SIZE, SIZE).to(device)
        self._state = self._drawn()

    def get_observations(self) -> TensorDict:
        """Return the groups."""
        time_left = 1.0 - self.episode_length_buf.float().unsqueeze(1) / EPISODE_LENGTH
        groups = {"policy": self._state.clone(), "privileged": torch.cat([self._state, time_left], dim=1)}
        groups["camera"] = (self._ticks > self._state[:, :1, None, None]).float()
        return TensorDict(groups, [self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """Push the spots."""
        place, speed = self._state.unbind(dim=1)
        speed = 0.9 * speed + 0.1 * actions.view(-1)
        place = place + 0.1 * speed
        self.episode_length_buf = self.episode_length_buf + 1
        dones = self.episode_length_buf >= EPISODE_LENGTH
        self._state = torch.where(dones.unsqueeze(1), self._drawn(), torch.stack([place, speed], dim=1))
        self.episode_length_buf = torch.where(dones, 0, self.episode_length_buf)
        return self.get_observations(), -place.square(), dones, {"time_outs": dones, "log": {"distance": place.abs()}}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides what happens next."""
        state = {"state": self._state.cpu(), "lengths": self.episode_length_buf.cpu()}
        return {"generator": self._generator.get_state(), **state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._generator.set_state(state["generator"].cpu())
        self._state, self.episode_length_buf = state["state"].to(self.device), state["lengths"].to(self.device)

    def _drawn(self) -> torch.Tensor:
        return torch.randn(self.num_envs, 2, generator=self._generator).to(self.device, non_blocking=True)


def negated(env: Any = None, obs: Any = None, actions: Any = None, **_: Any) -> tuple[Any, Any]:
    """Return observations and actions followed by their mirror images."""
    if obs is not None:
        obs = torch.cat([obs, TensorDict({key: -value for key, value in obs.items()}, obs.shape, device=obs.device)])
    return obs, None if actions is None else torch.cat([actions, -actions])


def _config(
    actor: str = "mlp",
    critic: str = "mlp",
    distribution: str = "GaussianDistribution",
    std_type: str | None = None,
    **algorithm: Any,
) -> dict[str, Any]:
    model = {"class_name": "MLPModel", "hidden_dims": [16, 16], "activation": "elu", "obs_normalization": True}
    chosen = {"class_name": distribution} | ({} if std_type is None else {"std_type": std_type})
    return {
        "num_steps_per_env": NUM_STEPS,
        "save_interval": 1000,
        "logger": None,
        "obs_groups": {
            "actor": ["policy", *(["camera"] if actor == "cnn" else [])],
            "critic": ["policy", *(["camera"] if critic == "cnn" else ["privileged"])],
            "rnd_state": ["privileged"],
        },
        "actor": {**model, **_MODELS[actor], "distribution_cfg": chosen},
        "critic": {**model, **_MODELS[critic]},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 2, "num_mini_batches": 2, **algorithm},
    }


def _distillation(student: str) -> dict[str, Any]:
    cfg = _config(student)
    cfg["student"], cfg["teacher"] = cfg.pop("actor"), cfg.pop("critic")
    cfg["obs_groups"] = {"student": cfg["obs_groups"]["actor"], "teacher": ["policy", "privileged"]}
    return cfg | {"algorithm": {"class_name": "Distillation", "gradient_length": 3}}


_MIRROR = {"data_augmentation_func": negated, "use_data_augmentation": True, "use_mirror_loss": True}
_CURIOSITY = {"num_outputs": 2, "predictor_hidden_dims": [8], "target_hidden_dims": [8], "weight": 10.0}
_CURIOSITY |= {"reward_normalization": True, "state_normalization": True}

KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "gaussian": _config,
    "log std": lambda: _config(std_type="log"),
    "heteroscedastic": lambda: _config(distribution="HeteroscedasticGaussianDistribution"),
    "beta": lambda: _config(distribution="BetaDistribution"),
    "lstm": lambda: _config("lstm", "lstm"),
    "gru": lambda: _config("gru", "gru"),
    "cnn": lambda: _config("cnn", "cnn"),
    "shared cnn": lambda: _config("cnn", "cnn", share_cnn_encoders=True),
    "rnd": lambda: _config(rnd_cfg=dict(_CURIOSITY)),
    "symmetry": lambda: _config(symmetry_cfg=dict(_MIRROR)),
    # Not with Adam: the gradient of the last bias is 0 but for rounding, which Adam would make steps of.
    "equivariant": lambda: _config(
        optimizer="sgd", symmetry_cfg={"data_augmentation_func": negated, "equivariant": True}
    ),
    "warm-up": lambda: _config(critic_warmup_iterations=2),
    "mixed precision": lambda: _config(use_mixed_precision=True),
    "recover": lambda: _config() | {"nonfinite": "recover"},
    "distillation": lambda: _distillation("mlp"),
    "distillation gru": lambda: _distillation("gru"),
}
"""Configurations by what is special about them."""
OPTIMIZERS: dict[str, Callable[[], dict[str, Any]]] = {
    name: lambda name=name: _config(optimizer=name)
    for name in ("adamw", "sgd", "rmsprop", "nadam", "radam", "adagrad", "torch.optim:Adamax")
}
"""Kinds that differ from the first in nothing but the optimizer."""


def made(
    kind: str, device: str, num_envs: int = 8, log_dir: str | None = None, env_device: str | None = None, **top: Any
) -> Any:
    """Return a quiet runner for a kind, with :class:`Spot`; a distillation with a teacher that knows nothing.

    The environment lives on the same device unless another is given; ``top`` are keys of the configuration.
    """
    torch.manual_seed(0)
    cfg = (KINDS | OPTIMIZERS)[kind]() | top
    runner_class = DistillationRunner if "student" in cfg else OnPolicyRunner
    runner: Any = runner_class(Spot(num_envs, env_device or device), cfg, log_dir=log_dir, device=device)
    runner.logger.console = SilentConsole()
    if "student" in cfg:
        runner.alg.teacher_loaded = True
    return runner
