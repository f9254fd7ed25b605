# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Random network distillation: a reward for what has not been seen before.

Burda et al., "Exploration by Random Network Distillation", 2018; for robots Schwarke et al., "Curiosity-Driven Learning
of Joint Locomotion and Manipulation Tasks", 2023. Legend: N environments, B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.config import check_type
from rsl_rl.env import VecEnv
from rsl_rl.extensions.extension import Extension, ExtensionLoss, checked_options
from rsl_rl.learning import Optimizer
from rsl_rl.modules import MLP, EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import check_choice, listed, takes_plain_options
from rsl_rl.utils.ranges import Count, Finite, NonNegative

_SCHEDULE_OPTIONS = {
    "constant": (),
    "step": ("final_step", "final_value"),
    "linear": ("initial_step", "final_step", "final_value"),
}


class RandomNetworkDistillation(nn.Module, Extension):
    """Rewards the error in predicting a fixed random network, which is large for states unlike those learned from."""

    loss_name = "rnd"
    counters = ("update_counter",)

    @takes_plain_options
    def __init__(
        self,
        num_states: int,
        obs_groups: Mapping[str, Sequence[str]],
        num_outputs: Count,
        predictor_hidden_dims: Sequence[int],
        target_hidden_dims: Sequence[int],
        activation: str = "elu",
        state_normalization: bool = False,
        reward_normalization: bool = False,
        weight: Finite = 0.0,
        weight_schedule: dict[str, str | float] | None = None,
        learning_rate: NonNegative = 1e-3,
        device: str = "cpu",
    ) -> None:
        """Build both networks and the predictor's optimizer.

        Args:
            num_states: Size of the concatenated groups of the set ``rnd_state``.
            obs_groups: Groups of every observation set.
            num_outputs: Outputs of both networks.
            predictor_hidden_dims: Width of each hidden layer of the network that learns; -1 for ``num_states``.
            target_hidden_dims: Width of each hidden layer of the network that does not.
            activation: Name of the activation.
            state_normalization: Normalize the state by its running mean and standard deviation.
            reward_normalization: Divide the reward by the running standard deviation of its discounted sum.
            weight: Factor of the reward.
            weight_schedule: How the weight changes with the steps taken per environment: ``{"mode": "constant"}``,
                ``{"mode": "step", "final_step": ..., "final_value": ...}`` or ``{"mode": "linear",
                "initial_step": ..., "final_step": ..., "final_value": ...}``; None for constant.
            learning_rate: Learning rate of the predictor (Adam).
            device: Where the networks live.

        Raises:
            ValueError: The schedule's mode is unknown or it lacks an option.
        """
        super().__init__()
        self.num_states = num_states
        self.obs_groups = obs_groups
        self.num_outputs = num_outputs
        self.device = device
        self.initial_weight = self.weight = float(weight)
        self.weight_scheduler_params = _checked_schedule(weight_schedule)
        self.weight_scheduler: Callable[..., float] | None = None if weight_schedule is None else self._scheduled_weight
        """Called with ``step``, the steps taken per environment, and the schedule's options; may be replaced."""
        self.update_counter = 0
        """Steps taken per environment."""
        self.state_normalization = state_normalization
        self.reward_normalization = reward_normalization
        self.state_normalizer = EmpiricalNormalization(num_states) if state_normalization else nn.Identity()
        self.reward_normalizer = (
            EmpiricalDiscountedVariationNormalization([]) if reward_normalization else nn.Identity()
        )
        self.predictor = MLP(num_states, num_outputs, predictor_hidden_dims, activation)
        self.target = MLP(num_states, num_outputs, target_hidden_dims, activation)
        self.to(device)
        self.train()
        self._optimizer = Optimizer.of("adam", self.predictor.parameters(), learning_rate)

    @torch.no_grad()
    def get_intrinsic_reward(self, obs: TensorDict) -> torch.Tensor:
        """Return the weighted reward [N] for arriving at observations, groups [N, ...]; counts one step."""
        self.update_counter += 1
        state = self.state_normalizer(self.get_rnd_state(obs))
        error = (self.target(state) - self.predictor(state)).norm(dim=-1)
        if self.weight_scheduler is not None:
            self.weight = self.weight_scheduler(step=self.update_counter, **self.weight_scheduler_params)
        return self.weight * self.reward_normalizer(error)

    def intrinsic_rewards(self, obs: Mapping[str, torch.Tensor]) -> torch.Tensor:  # noqa: D102
        return self.get_intrinsic_reward(obs)  # type: ignore[arg-type]

    def _scheduled_weight(
        self, step: int, mode: str, initial_step: int = 0, final_step: int = 0, final_value: float = 0.0
    ) -> float:
        if mode == "step":
            return self.initial_weight if step < final_step else final_value
        if mode == "linear":
            length, done = final_step - initial_step, step - initial_step
            progress = min(max(done / length, 0.0), 1.0) if length > 0 else float(step >= final_step)
            return self.initial_weight + progress * (final_value - self.initial_weight)
        return self.initial_weight

    def compute_loss(self, obs: TensorDict, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Return the predictor's mean squared error for observation groups [B, ...].

        Or for padded trajectories [T, n_traj, ...] with ``masks`` [T, n_traj], True where there is a step.
        """
        with torch.no_grad():
            state = self.state_normalizer(self.get_rnd_state(obs))
            target = self.target(state)
        error = (self.predictor(state) - target).square().mean(dim=-1)
        # Padding is not a state.
        return error.mean() if masks is None else torch.where(masks, error, 0.0).sum() / masks.sum()

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:  # noqa: D102
        observations = batch.observations if batch.masks is not None else batch.observations[:num_samples]
        loss = self.compute_loss(observations, batch.masks)
        return ExtensionLoss(loss, loss.detach())

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The predictor's torch optimizer."""
        return self._optimizer.torch_optimizer

    def optimized(self) -> tuple[Optimizer, list[nn.Parameter]]:  # noqa: D102
        return self._optimizer, list(self.predictor.parameters())

    def update_normalization(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Merge observations, groups [..., d], into the statistics of the state."""
        if self.state_normalization:
            self.state_normalizer.update(self.get_rnd_state(obs))  # type: ignore[operator] (EmpiricalNormalization)

    def get_rnd_state(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the concatenated groups of the set ``rnd_state``, [..., num_states]."""
        return torch.cat([obs[group].float() for group in self.obs_groups["rnd_state"]], dim=-1)

    def train(self, mode: bool = True) -> RandomNetworkDistillation:
        """Switch training mode on or off; the random network never leaves evaluation mode."""
        super().train(mode)
        self.target.eval().requires_grad_(False)
        return self

    def parts(self) -> dict[str, Any]:
        """Return optimizer and schedule by their keys in a checkpoint; the networks are a module of the algorithm."""
        schedule = SimpleNamespace(state_dict=self._schedule_state, load_state_dict=self._load_schedule_state)
        return {"rnd_optimizer_state_dict": self._optimizer, "rnd_schedule": schedule}

    def _schedule_state(self) -> dict[str, Any]:
        return {"update_counter": self.update_counter, "weight": self.weight, **self.process_state()}

    def _load_schedule_state(self, state: Mapping[str, Any]) -> None:
        self.update_counter, self.weight = int(state["update_counter"]), float(state["weight"])
        self.resume(state)

    def process_state(self) -> dict[str, Any]:
        """Return the discounted sums of the rewards, [N]; None without reward normalization."""
        return {"discounted_sum": self.reward_normalizer.discounted_sum if self.reward_normalization else None}

    def resume(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        if state.get("discounted_sum") is not None and self.reward_normalization:
            self.reward_normalizer.discounted_sum = state["discounted_sum"].clone().to(self.device)


def resolve_rnd_config(
    alg_cfg: dict[str, Any], obs: TensorDict, obs_groups: Mapping[str, Sequence[str]], env: VecEnv
) -> dict[str, Any]:
    """Return a copy of the section ``algorithm`` with everything in ``rnd_cfg`` that only the environment can tell.

    The weight is multiplied by ``env.unwrapped.step_dt``, in seconds.

    Raises:
        ValueError: An option is unknown or missing, a group of ``rnd_state`` is not 1D, or there is no ``step_dt``.
    """
    options = checked_options(alg_cfg, "rnd_cfg", RandomNetworkDistillation, given=("num_states", "obs_groups"))
    if options is None:
        return {**alg_cfg, "rnd_cfg": None}
    for group in obs_groups["rnd_state"]:
        if obs[group].ndim != 2:
            raise ValueError(
                f"rnd_state takes groups of shape [num_envs, size], but '{group}' has {list(obs[group].shape)}."
            )
    num_states = sum(obs[group].shape[-1] for group in obs_groups["rnd_state"])
    step_dt = getattr(getattr(env, "unwrapped", None), "step_dt", None)
    if step_dt is None:
        raise ValueError(
            f"RND multiplies its weight by 'env.unwrapped.step_dt', the seconds between two actions, which "
            f"{type(getattr(env, 'env', env)).__name__} lacks. Give it 'unwrapped' (often itself) with 'step_dt'."
        )
    weight = options.get("weight", 0.0) * step_dt
    return alg_cfg | {"rnd_cfg": {**options, "weight": weight, "num_states": num_states, "obs_groups": obs_groups}}


def _checked_schedule(schedule: Mapping[str, Any] | None) -> dict[str, Any]:
    schedule = {"mode": "constant"} if schedule is None else dict(schedule)
    mode: Any = schedule.get("mode")
    check_choice("mode", mode, _SCHEDULE_OPTIONS, of=" of rnd_cfg.weight_schedule")
    for option in _SCHEDULE_OPTIONS[mode]:
        if option not in schedule:
            raise ValueError(f"rnd_cfg.weight_schedule of mode '{mode}' lacks '{option}'. It has: {listed(schedule)}.")
        check_type(schedule[option], Finite, f"algorithm.rnd_cfg.weight_schedule.{option}")
    return schedule
