# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The rollout: preallocated buffers, written in place, read as mini-batches.

Legend: T steps, N environments, A actions, B samples.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.modules import HiddenState
from rsl_rl.storage.left_out import overwrite_with_copies
from rsl_rl.storage.memory import MemoryPlan
from rsl_rl.storage.mini_batches import is_images, padded_mini_batches, segment_mini_batches, shuffled_mini_batches
from rsl_rl.storage.transition import Batch, Transition
from rsl_rl.utils import did_you_mean, listed

_TRAINING_TYPES = ("rl", "distillation")


class RolloutStorage:
    """Keeps T steps of N environments. Every buffer keeps its address for the life of the storage."""

    Transition = Transition
    Batch = Batch

    def __init__(
        self,
        training_type: str,
        num_envs: int,
        num_transitions_per_env: int,
        obs: TensorDict,
        actions_shape: Sequence[int],
        device: str = "cpu",
        image_dtype: torch.dtype | None = None,
    ) -> None:
        """Allocate the buffers.

        Args:
            training_type: ``"rl"``, or ``"distillation"`` to keep a teacher's actions instead of values.
            num_envs: N.
            num_transitions_per_env: T.
            obs: Example observation groups, each [N, ...]; their dtypes are kept.
            actions_shape: Shape of one environment's action, [A].
            device: Device of the buffers.
            image_dtype: Type that images [N, C, H, W] of floating-point numbers are stored as; None for their own.

        Raises:
            MemoryError: The device has not enough memory; says what takes it and what helps.
            ValueError: The training type is unknown or a size is not positive.
        """
        if training_type not in _TRAINING_TYPES:
            hint = did_you_mean(training_type, _TRAINING_TYPES)
            raise ValueError(f"Unknown training type {training_type!r}.{hint} Valid: {listed(_TRAINING_TYPES)}.")
        if num_envs < 1 or num_transitions_per_env < 1:
            raise ValueError(
                f"A rollout needs at least one environment and one step, got {num_envs} environments and "
                f"{num_transitions_per_env} steps."
            )
        self.training_type = training_type
        self.num_envs = num_envs
        self.num_transitions_per_env = num_transitions_per_env
        self.device = device
        self.actions_shape = tuple(actions_shape)
        self.step = 0

        steps = (num_transitions_per_env, num_envs)
        types = {str(key): _stored_type(value, image_dtype) for key, value in obs.items()}
        specs: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            **{f"observation {key}": ((num_transitions_per_env, *obs[key].shape), types[key]) for key in types},
            "actions": ((*steps, *self.actions_shape), torch.float32),
            "rewards": ((*steps, 1), torch.float32),
            "dones": ((*steps, 1), torch.uint8),
        }
        others = ["values", "actions_log_prob", "returns", "advantages"]
        if training_type == "distillation":
            specs["privileged_actions"] = specs["actions"]
        else:
            specs |= dict.fromkeys(others, ((*steps, 1), torch.float32))
            specs["cut_off"] = ((*steps, 1), torch.bool)
        copied = [
            name for name in specs if name not in ("rewards", "dones", "cut_off") and not is_images(specs[name][0])
        ]
        self.memory = MemoryPlan.of(specs, copied if training_type == "rl" else ())
        """What the buffers take; those of distributions and hidden states follow with the first transition."""
        self.memory.check(specs, str(device))
        buffers = {name: torch.zeros(shape, dtype=dtype, device=device) for name, (shape, dtype) in specs.items()}
        self.observations = TensorDict(
            {key: buffers.pop(f"observation {key}") for key in types}, batch_size=list(steps), device=device
        )
        # Indexing a TensorDict costs far more than the copy itself: the views of every step are made once.
        self._observation_slots = [
            TensorDict({key: value[step] for key, value in self.observations.items()}, [num_envs], device=device)
            for step in range(num_transitions_per_env)
        ]
        self._recorded_step: int | None = None
        self._invalid_TN: torch.Tensor | None = None
        self.actions, self.rewards, self.dones = (buffers[name] for name in ("actions", "rewards", "dones"))
        if training_type == "distillation":
            self.privileged_actions = buffers["privileged_actions"]
        else:
            self.values, self.actions_log_prob, self.returns, self.advantages = (buffers[name] for name in others)
            self.cut_off = buffers["cut_off"]
        # Views of every step, without the last dimension where it is 1: indexing costs as much as the copy itself.
        kept = ("actions", "rewards", "dones", "values", "actions_log_prob", "cut_off", "privileged_actions")
        self._slots = {
            name: (buffers[name] if name.endswith("actions") else buffers[name].squeeze(-1)).unbind()
            for name in kept
            if name in buffers
        }
        self.missing: set[str] = set()
        """Fields of this rollout that are yet to be computed, for all steps at once."""
        # Allocated at the first transition: their number and shapes belong to the distribution.
        self.distribution_params: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_a: tuple[torch.Tensor, ...] | None = None
        self.saved_hidden_state_c: tuple[torch.Tensor, ...] | None = None

    def record_observations(self, obs: TensorDict | Mapping[str, torch.Tensor]) -> TensorDict:
        """Copy the observation of the current step into the rollout, and return the copy.

        Called when the action is chosen: the environment may overwrite its buffers while it steps.

        Args:
            obs: Observation groups, each [N, ...].

        Raises:
            OverflowError: The rollout is full.
        """
        self._require_space()
        slot = self._observation_slots[self.step]
        for key, target in slot.items():
            target.copy_(obs[key], non_blocking=True)  # type: ignore[arg-type] (a tensor)
        self._recorded_step = self.step
        return slot

    def add_transition(self, transition: RolloutStorage.Transition) -> None:
        """Copy one step of all environments into the rollout.

        Args:
            transition: With observations, actions [N, A], rewards [N], dones [N]; values [N, 1], actions_log_prob [N],
                distribution_params, each [N, ...], and hidden states before the step, or for distillation
                privileged_actions [N, A].

        Raises:
            OverflowError: The rollout is full.
        """
        self._require_space()
        step = self.step
        observations = transition.observations
        if observations is not None and not (
            self._recorded_step == step and observations is self._observation_slots[step]
        ):
            self.record_observations(observations)
        slots = self._slots
        slots["actions"][step].copy_(transition.actions)  # type: ignore[arg-type]
        slots["rewards"][step].copy_(transition.rewards.view(-1))  # type: ignore[union-attr]
        slots["dones"][step].copy_(transition.dones.view(-1))  # type: ignore[union-attr]
        if self.training_type == "distillation":
            slots["privileged_actions"][step].copy_(transition.privileged_actions)  # type: ignore[arg-type]
        else:
            if self.distribution_params is None and transition.distribution_params is not None:
                self.distribution_params = self._allocate_like(transition.distribution_params)
            if transition.cut_off is None:
                slots["cut_off"][step].zero_()
            else:
                slots["cut_off"][step].copy_(transition.cut_off.view(-1))
            for field in ("values", "actions_log_prob"):
                if transition.has(field):
                    slots[field][step].copy_(getattr(transition, field).view(-1))
                else:
                    self.missing.add(field)
            for target, value in zip(self.distribution_params or (), transition.distribution_params or (), strict=True):
                target[step].copy_(value)
            self._save_hidden_states(transition.hidden_states)
        self.step += 1

    def leave_out(self, invalid_TN: torch.Tensor) -> None:
        """Keep transitions out of everything that is learned; they must be marked as done.

        With :meth:`settle_left_out` they are worth exactly what was expected, so that nothing before them is told
        otherwise; :meth:`refill` then overwrites them.

        Args:
            invalid_TN: [T, N], bool.
        """
        self._invalid_TN = invalid_TN
        if self.training_type == "rl" and "values" not in self.missing:
            self.settle_left_out()

    def settle_left_out(self) -> None:
        """Let transitions that were left out be worth exactly what was expected; needs their values."""
        if self._invalid_TN is not None:
            self.rewards[self._invalid_TN] = self.values[self._invalid_TN]

    def refill(self) -> None:
        """Overwrite the transitions that were left out with copies of others, each a trajectory of its own.

        Mini-batches then have their usual shape, and means over them are those of what may be learned from. Does
        nothing unless transitions were left out.

        Raises:
            ValueError: There are no others.
        """
        if self._invalid_TN is None:
            return
        invalid_TN, self._invalid_TN = self._invalid_TN, None
        overwrite_with_copies(self, invalid_TN)

    def clear(self) -> None:
        """Start a new rollout in the same buffers."""
        self.step = 0
        self._recorded_step = None
        self._invalid_TN = None
        self.missing.clear()

    def mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8
    ) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield shuffled mini-batches, the same ones in every epoch.

        The rollout is gathered in random order once, but for its images; the mini-batches are views of it. What N * T
        leaves over when divided by the number of mini-batches is not used.

        Args:
            num_mini_batches: Mini-batches per epoch.
            num_epochs: Passes over the rollout.

        Raises:
            ValueError: There are more mini-batches than samples, or the storage keeps no values.
        """
        self._require_type("rl")
        yield from shuffled_mini_batches(self, num_mini_batches, num_epochs)

    def recurrent_mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8
    ) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield mini-batches of whole environments in their order, the same ones in every epoch.

        Observations are cut at episode ends into padded trajectories; the other tensors stay [T, B, ...]. What N
        leaves over when divided by the number of mini-batches is not used.

        Args:
            num_mini_batches: Mini-batches per epoch.
            num_epochs: Passes over the rollout.

        Raises:
            ValueError: There are more mini-batches than environments, or the storage keeps no values.
        """
        self._require_type("rl")
        batches = padded_mini_batches(self, num_mini_batches)
        for _ in range(num_epochs):
            yield from batches

    def segment_mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8
    ) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield the mini-batches of :meth:`recurrent_mini_batch_generator` without padding, as views of the rollout.

        Observations are [T, B, ...], ``masks`` are :class:`rsl_rl.core.recurrence.Segments`, and the hidden states are
        those before every step, [T, layers, B, hidden]. Their shapes are always the same.
        """
        self._require_type("rl")
        batches = segment_mini_batches(self, num_mini_batches)
        for _ in range(num_epochs):
            yield from batches

    def generator(self) -> Generator[RolloutStorage.Batch, None, None]:
        """Yield the rollout of a distillation step by step: observations, actions and dones of all environments.

        Raises:
            ValueError: The storage keeps no teacher's actions.
        """
        self._require_type("distillation")
        for step in range(self.num_transitions_per_env):
            yield RolloutStorage.Batch(
                observations=self._observation_slots[step],
                actions=self.actions[step],
                privileged_actions=self.privileged_actions[step],
                dones=self.dones[step],
            )

    def _save_hidden_states(self, hidden_states: tuple[HiddenState, HiddenState]) -> None:
        """Copy the hidden states before the current step; None, before the first step of all, stands for zeros."""
        saved = []
        for buffers, state in zip((self.saved_hidden_state_a, self.saved_hidden_state_c), hidden_states, strict=True):
            parts = state if isinstance(state, tuple) or state is None else (state,)
            if buffers is None and parts is not None:
                buffers = self._allocate_like(parts)
            for index, target in enumerate(buffers or ()):
                if parts is None:
                    target[self.step].zero_()
                else:
                    target[self.step].copy_(parts[index])
            saved.append(buffers)
        self.saved_hidden_state_a, self.saved_hidden_state_c = saved

    def _require_type(self, training_type: str) -> None:
        if self.training_type != training_type:
            raise ValueError(
                f"These mini-batches are for a storage of the training type '{training_type}', not "
                f"'{self.training_type}'."
            )

    def _require_space(self) -> None:
        if self.step >= self.num_transitions_per_env:
            raise OverflowError(
                f"The rollout is full: it holds {self.num_transitions_per_env} steps. Call clear() before adding more."
            )

    def _allocate_like(self, params: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        # The rollout runs in inference mode; the buffers must not become inference tensors, the update learns on them.
        with torch.inference_mode(False):
            return tuple(
                torch.zeros(self.num_transitions_per_env, *param.shape, dtype=param.dtype, device=self.device)
                for param in params
            )


def _stored_type(value: Any, image_dtype: torch.dtype | None) -> torch.dtype:
    is_float_image = value.ndim == 4 and value.dtype.is_floating_point
    return image_dtype if is_float_image and image_dtype is not None else value.dtype
