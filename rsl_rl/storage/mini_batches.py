# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Dividing a rollout into mini-batches.

Legend: T steps, N environments, B samples or environments of a mini-batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.core.recurrence import Segments
from rsl_rl.core.trajectories import Trajectories
from rsl_rl.modules import HiddenState
from rsl_rl.storage.transition import Batch


def is_images(shape: Sequence[int]) -> bool:
    """Return whether a buffer [T, N, ...] holds images [C, H, W], of which no second copy is to be kept."""
    return len(shape) == 5


def shuffled_mini_batches(storage: Any, num_mini_batches: int, num_epochs: int) -> Iterator[Batch]:
    """Gather the samples of a rollout in random order once, and yield views of them; images one mini-batch at a time.

    Raises:
        ValueError: There are more mini-batches than samples.
    """
    num_samples = storage.num_envs * storage.num_transitions_per_env
    size = num_samples // num_mini_batches
    if size == 0:
        raise ValueError(
            f"{num_mini_batches} mini-batches need at least as many samples, but the rollout has {num_samples} "
            f"({storage.num_envs} environments x {storage.num_transitions_per_env} steps)."
        )
    indices = torch.randperm(num_mini_batches * size, device=storage.device)

    def shuffled(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tensor.flatten(0, 1)[indices].split(size)

    groups = {str(key): value for key, value in storage.observations.items()}
    images = {key: value.flatten(0, 1) for key, value in groups.items() if is_images(value.shape)}
    observations = {key: shuffled(value) for key, value in groups.items() if key not in images}
    actions, values, returns = shuffled(storage.actions), shuffled(storage.values), shuffled(storage.returns)
    advantages, log_prob = shuffled(storage.advantages), shuffled(storage.actions_log_prob)
    params = [shuffled(param) for param in storage.distribution_params or ()]
    batches = [
        Batch(
            observations=TensorDict(
                {key: parts[index] for key, parts in observations.items()}, [size], device=storage.device
            ),
            actions=actions[index],
            values=values[index],
            advantages=advantages[index],
            returns=returns[index],
            old_actions_log_prob=log_prob[index],
            old_distribution_params=tuple(parts[index] for parts in params),
        )
        for index in range(num_mini_batches)
    ]
    for _ in range(num_epochs):
        for index, (batch, rows) in enumerate(zip(batches, indices.split(size), strict=True)):
            if not images:
                yield batch
                continue
            groups = {key: parts[index] for key, parts in observations.items()}
            groups |= {key: value[rows] for key, value in images.items()}
            yield replace(batch, observations=TensorDict(groups, [size], device=storage.device))


def padded_mini_batches(storage: Any, num_mini_batches: int) -> list[Batch]:
    """Return whole environments in their order, their observations cut at episode ends into padded trajectories.

    Raises:
        ValueError: There are more mini-batches than environments.
    """
    size = _environments_per_mini_batch(storage, num_mini_batches)
    trajectories = Trajectories.of(storage.dones)
    observations = {key: trajectories.pad(storage.observations[key]) for key in storage.observations.keys()}  # noqa: SIM118
    masks = trajectories.masks()
    # Saved as [T, layers, N, hidden], wanted as [layers, n_traj, hidden].
    hidden_states = [
        tuple(trajectories.first(state.transpose(1, 2)).transpose(0, 1) for state in saved or ())
        for saved in (storage.saved_hidden_state_a, storage.saved_hidden_state_c)
    ]
    # Where the trajectories of each mini-batch end.
    ends = trajectories.trajectory_TN[-1, size - 1 : num_mini_batches * size : size].add(1).tolist()
    batches = []
    for index, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
        envs = slice(index * size, (index + 1) * size)
        state_a, state_c = (
            _as_hidden_state(tuple(state[:, begin:end].contiguous() for state in states)) for states in hidden_states
        )
        batches.append(
            Batch(
                observations=TensorDict(
                    {key: value[:, begin:end] for key, value in observations.items()},
                    [storage.num_transitions_per_env, end - begin],
                    device=storage.device,
                ),
                hidden_states=(state_a, state_c),
                masks=masks[:, begin:end],
                **_of_environments(storage, envs),
            )
        )
    return batches


def segment_mini_batches(storage: Any, num_mini_batches: int) -> list[Batch]:
    """Return whole environments in their order, with marks where episodes start.

    Raises:
        ValueError: There are more mini-batches than environments.
    """
    size = _environments_per_mini_batch(storage, num_mini_batches)
    batches = []
    for start in range(0, num_mini_batches * size, size):
        envs = slice(start, start + size)
        observations = {key: value[:, envs] for key, value in storage.observations.items()}
        states = (
            tuple(state[:, :, envs] for state in saved or ())
            for saved in (storage.saved_hidden_state_a, storage.saved_hidden_state_c)
        )
        state_a, state_c = (_as_hidden_state(parts) for parts in states)
        batches.append(
            Batch(
                observations=TensorDict(observations, [storage.num_transitions_per_env, size], device=storage.device),
                hidden_states=(state_a, state_c),
                masks=Segments.of(storage.dones[:, envs].squeeze(-1)),  # type: ignore[arg-type]
                **_of_environments(storage, envs),
            )
        )
    return batches


def _environments_per_mini_batch(storage: Any, num_mini_batches: int) -> int:
    size = storage.num_envs // num_mini_batches
    if size == 0:
        raise ValueError(
            f"{num_mini_batches} mini-batches of a recurrent model need at least as many environments, but there "
            f"are {storage.num_envs}."
        )
    return size


def _of_environments(storage: Any, envs: slice) -> dict[str, Any]:
    """Return what needs no padding, [T, B, ...]."""
    return {
        "actions": storage.actions[:, envs],
        "values": storage.values[:, envs],
        "advantages": storage.advantages[:, envs],
        "returns": storage.returns[:, envs],
        "old_actions_log_prob": storage.actions_log_prob[:, envs],
        "old_distribution_params": tuple(param[:, envs] for param in storage.distribution_params or ()),
        "dones": storage.dones[:, envs],
    }


def _as_hidden_state(states: tuple[torch.Tensor, ...]) -> HiddenState:
    """Return a GRU's one state, an LSTM's two as a tuple, and None without any."""
    if len(states) < 2:
        return states[0] if states else None
    return states[0], states[1]
