# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Random network distillation: a reward for what has not been seen before.

Burda et al., "Exploration by Random Network Distillation", 2018; for robots Schwarke et al., "Curiosity-Driven Learning
of Joint Locomotion and Manipulation Tasks", 2023. Legend: N environments, B samples.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.config import check_options, check_type
from rsl_rl.core.recurrence import Segments
from rsl_rl.env import VecEnv
from rsl_rl.extensions.extension import Extension, ExtensionLoss
from rsl_rl.modules import MLP, EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rsl_rl.modules.mlp import run_layers
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import (
    PORTABLE_SWITCHES,
    check_optimizer_state,
    check_state_dict,
    did_you_mean,
    listed,
    step_unless,
)

_SCHEDULE_OPTIONS = {
    "constant": (),
    "step": ("final_step", "final_value"),
    "linear": ("initial_step", "final_step", "final_value"),
}


class RandomNetworkDistillation(nn.Module, Extension):
    """Rewards the error of a network that learns to predict a fixed random network.

    The error is large for states unlike those that were learned from.
    """

    loss_name = "rnd"

    def __init__(
        self,
        num_states: int,
        obs_groups: Mapping[str, Sequence[str]],
        num_outputs: int,
        predictor_hidden_dims: Sequence[int],
        target_hidden_dims: Sequence[int],
        activation: str = "elu",
        state_normalization: bool = False,
        reward_normalization: bool = False,
        weight: float = 0.0,
        weight_schedule: dict[str, Any] | None = None,
        learning_rate: float = 1e-3,
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
        self.optimizer = torch.optim.Adam(self.predictor.parameters(), lr=learning_rate, fused=True)

    # -- the reward ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def get_intrinsic_reward(self, obs: TensorDict) -> torch.Tensor:
        """Return the weighted reward [N] for arriving at observations, groups [N, ...]; counts one step."""
        self.update_counter += 1
        state = self.state_normalizer(self.get_rnd_state(obs))
        error = (run_layers(self.target, state) - run_layers(self.predictor, state)).norm(dim=-1)
        self.weight = self._scheduled_weight()
        return self.weight * self.reward_normalizer(error)

    def intrinsic_rewards(self, obs: Mapping[str, torch.Tensor]) -> torch.Tensor:  # noqa: D102
        return self.get_intrinsic_reward(obs)  # type: ignore[arg-type]

    def _scheduled_weight(self) -> float:
        schedule, step = self.weight_scheduler_params, self.update_counter
        if schedule["mode"] == "step":
            return self.initial_weight if step < schedule["final_step"] else schedule["final_value"]
        if schedule["mode"] == "linear":
            first, last = schedule["initial_step"], schedule["final_step"]
            progress = min(max((step - first) / (last - first), 0.0), 1.0) if last > first else float(step >= last)
            return self.initial_weight + progress * (schedule["final_value"] - self.initial_weight)
        return self.initial_weight

    # -- learning ------------------------------------------------------------------------------------------------------

    def compute_loss(self, obs: TensorDict, masks: torch.Tensor | None = None) -> torch.Tensor:
        """Return the predictor's mean squared error.

        Args:
            obs: Observation groups [B, ...], or padded trajectories [T, n_traj, ...].
            masks: [T, n_traj], bool, True where a trajectory has a step.
        """
        with torch.no_grad():
            state = self.state_normalizer(self.get_rnd_state(obs))
            target = run_layers(self.target, state)
        error = (run_layers(self.predictor, state) - target).square().mean(dim=-1)
        # Padding is not a state.
        if masks is None or isinstance(masks, Segments):
            return error.mean()
        return torch.where(masks, error, 0.0).sum() / masks.sum()

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:  # noqa: D102
        assert batch.observations is not None
        observations = batch.observations if batch.masks is not None else batch.observations[:num_samples]
        loss = self.compute_loss(observations, batch.masks)
        return ExtensionLoss(loss, loss.detach())

    def step(self, is_bad: torch.Tensor) -> None:  # noqa: D102
        step_unless(self.optimizer, is_bad)
        self.optimizer.zero_grad()

    def update_normalization(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Merge observations, groups [..., d], into the statistics of the state."""
        if self.state_normalization:
            self.state_normalizer.update(self.get_rnd_state(obs))  # type: ignore[operator] (EmpiricalNormalization)

    def get_rnd_state(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the concatenated groups of the set ``rnd_state``, [..., num_states]."""
        return torch.cat([obs[group] for group in self.obs_groups["rnd_state"]], dim=-1)

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available: ask for the reward or the loss."""
        raise RuntimeError("RandomNetworkDistillation has no forward(): call get_intrinsic_reward() or compute_loss().")

    def train(self, mode: bool = True) -> RandomNetworkDistillation:
        """Switch training mode on or off; the random network never leaves evaluation mode."""
        super().train(mode)
        self.target.eval().requires_grad_(False)
        return self

    # -- state ---------------------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return networks, running averages, optimizer and schedule under the keys that they have in a checkpoint."""
        sums = self.reward_normalizer.discounted_sum if self.reward_normalization else None
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group.update({switch: value for switch, value in PORTABLE_SWITCHES.items() if switch in group})
        return {
            "rnd_state_dict": self.state_dict(),
            "rnd_optimizer_state_dict": optimizer,
            "rnd_schedule": {"update_counter": self.update_counter, "weight": self.weight, "discounted_sum": sums},
        }

    def optimizer_fits(self, state: Mapping[str, Any], strict: bool) -> bool:
        """Return whether the optimizer of a checkpoint can be taken over.

        Raises:
            ValueError: It is there and does not fit, with ``strict``.
        """
        if "rnd_optimizer_state_dict" not in state:
            return False
        if strict:  # Networks of other sizes are the better explanation.
            check_state_dict(self, state.get("rnd_state_dict", {}), "rnd")
        try:
            check_optimizer_state(self.optimizer, state["rnd_optimizer_state_dict"], "RND optimizer")
        except ValueError:
            if strict:
                raise
            return False
        return True

    def load_progress(self, state: Mapping[str, Any], takes_optimizer: bool) -> list[str]:
        """Take over optimizer and schedule of a checkpoint; return what was not there, one line each."""
        report = []
        if takes_optimizer:
            self.optimizer.load_state_dict(copy.deepcopy(state["rnd_optimizer_state_dict"]))
            for group in self.optimizer.param_groups:
                group["fused"] = True
        else:
            report.append("rnd: the optimizer starts anew")
        if "rnd_schedule" not in state:
            return [*report, "rnd: the checkpoint does not keep the weight schedule, it starts anew"]
        schedule = state["rnd_schedule"]
        self.update_counter = int(schedule["update_counter"])
        self.weight = float(schedule["weight"])
        if self.reward_normalization:
            sums = schedule["discounted_sum"]
            sums = None if sums is None else sums.clone().to(self.device)
            self.reward_normalizer.discounted_sum = sums  # type: ignore[assignment] (not a parameter)
        return report


def resolve_rnd_config(
    alg_cfg: dict[str, Any], obs: TensorDict, obs_groups: Mapping[str, Sequence[str]], env: VecEnv
) -> dict[str, Any]:
    """Return an algorithm's configuration with everything in ``rnd_cfg`` that only the environment can tell.

    Args:
        alg_cfg: The section ``algorithm``; it is not changed.
        obs: Example observation groups.
        obs_groups: Groups of every observation set, with ``rnd_state``.
        env: The environment; the weight is multiplied by its ``unwrapped.step_dt``, in seconds.

    Raises:
        ValueError: An option is unknown or missing, a group of ``rnd_state`` is not 1D, or there is no ``step_dt``.
    """
    options = alg_cfg.get("rnd_cfg")
    if options is None:
        return {**alg_cfg, "rnd_cfg": None}
    check_options(RandomNetworkDistillation, options, "algorithm.rnd_cfg")
    for name, parameter in inspect.signature(RandomNetworkDistillation).parameters.items():
        if parameter.default is parameter.empty and name not in {*options, "num_states", "obs_groups"}:
            raise ValueError(f"'algorithm.rnd_cfg' lacks the option '{name}'. It has: {listed(options)}.")
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
    mode = schedule.get("mode")
    if not isinstance(mode, str) or mode not in _SCHEDULE_OPTIONS:
        hint = did_you_mean(str(mode), _SCHEDULE_OPTIONS)
        raise ValueError(f"Unknown mode {mode!r} of rnd_cfg.weight_schedule.{hint} Valid: {listed(_SCHEDULE_OPTIONS)}.")
    for option in _SCHEDULE_OPTIONS[mode]:
        if option not in schedule:
            raise ValueError(f"rnd_cfg.weight_schedule of mode '{mode}' lacks '{option}'. It has: {listed(schedule)}.")
        check_type(schedule[option], float, f"algorithm.rnd_cfg.weight_schedule.{option}")
    return schedule
