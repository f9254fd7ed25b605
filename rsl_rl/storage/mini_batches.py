# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What goes into a rollout and comes out of it: one step of all environments, and mini-batches.

Legend: T steps, N environments, B samples or environments of a mini-batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.core.trajectories import Trajectories
from rsl_rl.modules import HiddenState, as_hidden_state

JUDGED = ("values", "actions_log_prob", "privileged_actions")
"""What a transition may lack until somebody asks for it."""


class Transition:
    """One step of all environments, filled by the algorithm and copied by :meth:`add_transition`."""

    # None until the algorithm fills them, and where it has no use for them.
    observations: TensorDict
    actions: torch.Tensor
    rewards: torch.Tensor
    dones: torch.Tensor
    time_outs: torch.Tensor | None
    distribution_params: tuple[torch.Tensor, ...]
    hidden_states: tuple[HiddenState, HiddenState]
    values: torch.Tensor
    actions_log_prob: torch.Tensor
    privileged_actions: torch.Tensor
    judge: Callable[[Transition], None] | None
    """Fills in what the transition lacks; None where it lacks nothing."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        for name in JUDGED:
            vars(self).pop(name, None)
        self.observations = self.actions = self.rewards = self.dones = self.distribution_params = None  # type: ignore[assignment]
        self.judge, self.time_outs, self.hidden_states = None, None, (None, None)

    def complete(self) -> None:
        """Have filled in what is lacking; what was set in the meantime stays as it is."""
        if self.judge is not None:
            was_set = {name: vars(self)[name] for name in JUDGED if name in vars(self)}
            self.judge(self)
            vars(self).update(was_set)
            self.judge = None

    def __getattr__(self, name: str) -> Any:
        if name not in JUDGED:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        self.complete()
        return vars(self).get(name)

    def __getstate__(self) -> dict[str, Any]:
        self.complete()
        return vars(self)


@dataclass
class Batch:
    """A part of the rollout: samples [B, ...], or for recurrent models whole environments [T, B, ...].

    In the latter case observations are padded trajectories [T, n_traj, ...] with ``masks`` [T, n_traj].
    """

    # None where an algorithm or a kind of model has no use for it.
    observations: TensorDict = None  # type: ignore[assignment]
    actions: torch.Tensor = None  # type: ignore[assignment]
    values: torch.Tensor = None  # type: ignore[assignment]
    advantages: torch.Tensor = None  # type: ignore[assignment]
    returns: torch.Tensor = None  # type: ignore[assignment]
    old_actions_log_prob: torch.Tensor = None  # type: ignore[assignment]
    old_distribution_params: tuple[torch.Tensor, ...] = None  # type: ignore[assignment]
    hidden_states: tuple[HiddenState, HiddenState] = (None, None)
    masks: torch.Tensor | None = None
    privileged_actions: torch.Tensor = None  # type: ignore[assignment]
    dones: torch.Tensor = None  # type: ignore[assignment]

    def map(self, function: Callable[[Any], Any]) -> Batch:
        """Return the batch with a function applied to every tensor, but hidden states, and to the observations."""
        changed = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (torch.Tensor, TensorDict)):
                setattr(changed, name, function(value))
        if self.old_distribution_params is not None:
            changed.old_distribution_params = tuple(map(function, self.old_distribution_params))
        return changed


_BUFFERS = {
    "actions": "actions",
    "values": "values",
    "advantages": "advantages",
    "returns": "returns",
    "old_actions_log_prob": "actions_log_prob",
}
"""Buffers of a rollout by their names in a batch."""


def shuffled_mini_batches(storage: Any, num_mini_batches: int, num_epochs: int) -> Iterator[Batch]:
    """Gather a rollout's samples in random order once, and yield views of them; images one mini-batch at a time."""
    size = _mini_batch_size(storage.num_envs * storage.num_transitions_per_env, "samples", num_mini_batches)
    indices = torch.randperm(num_mini_batches * size, device=storage.device)

    images = {str(key): value.flatten(0, 1) for key, value in storage.observations.items() if value.ndim == 5}
    buffers: dict[str, Any] = {field: getattr(storage, name) for field, name in _BUFFERS.items()}
    vectors = storage.observations.exclude(*images)
    rollout = Batch(observations=vectors, old_distribution_params=storage.distribution_params, **buffers)
    gathered = rollout.map(lambda buffer: buffer.flatten(0, 1)[indices])
    starts = range(0, len(indices), size)
    batches = [gathered.map(lambda value, start=start: value[start : start + size]) for start in starts]
    for _ in range(num_epochs):
        for batch, rows in zip(batches, indices.split(size), strict=True):
            if images:
                seen = {**batch.observations, **{key: value[rows] for key, value in images.items()}}
                batch = replace(batch, observations=TensorDict(seen, [size], device=storage.device))
            yield batch


def padded_mini_batches(storage: Any, num_mini_batches: int) -> list[Batch]:
    """Return whole environments in their order, their observations cut at episode ends into padded trajectories."""
    size = _mini_batch_size(storage.num_envs, "environments for a recurrent model", num_mini_batches)
    trajectories = Trajectories.of(storage.dones)
    padded_shape = [storage.num_transitions_per_env, trajectories.num_trajectories]
    observations = storage.observations.apply(trajectories.pad, batch_size=padded_shape)
    masks = trajectories.masks()
    # Saved as [T, layers, N, hidden], wanted as [layers, n_traj, hidden].
    hidden_states = [
        tuple(trajectories.first(state.transpose(1, 2)).transpose(0, 1) for state in saved or ())
        for saved in (storage.saved_hidden_state_a, storage.saved_hidden_state_c)
    ]
    # Where the trajectories of each mini-batch end.
    ends = trajectories.ends[size - 1 : num_mini_batches * size : size]
    batches = []
    for index, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
        envs = slice(index * size, (index + 1) * size)
        own_masks = trajectories.of_environments(masks, range(index * size, (index + 1) * size))
        state_a, state_c = (
            as_hidden_state([state[:, begin:end].contiguous() for state in states]) for states in hidden_states
        )
        batches.append(
            Batch(
                observations=observations[:, begin:end],
                hidden_states=(state_a, state_c),
                masks=own_masks,
                old_distribution_params=tuple(param[:, envs] for param in storage.distribution_params or ()),
                dones=storage.dones[:, envs],
                **{field: getattr(storage, name)[:, envs] for field, name in _BUFFERS.items()},
            )
        )
    return batches


def _mini_batch_size(number: int, kind: str, num_mini_batches: int) -> int:
    if number < num_mini_batches:
        raise ValueError(f"{num_mini_batches} mini-batches need at least as many {kind}, but the rollout has {number}.")
    return number // num_mini_batches
