# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Transitions that cannot be learned from make room for copies of others.

Legend: T steps, N environments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

# Copies are spread over the rollout without drawing from the random state: a prime, far from any number of steps.
_STRIDE = 7919


def overwrite_with_copies(storage: Any, invalid_TN: torch.Tensor) -> None:
    """Overwrite transitions with copies of others; each becomes a trajectory of its own.

    Args:
        storage: A :class:`rsl_rl.storage.RolloutStorage`.
        invalid_TN: [T, N], bool, where transitions are to be overwritten; they are marked as done.

    Raises:
        ValueError: There are no others.
    """
    to_steps, to_envs = invalid_TN.nonzero(as_tuple=True)
    valid = (~invalid_TN).nonzero()
    if len(valid) == 0:
        raise ValueError("No transition of this rollout can be learned from.")
    chosen = torch.arange(len(to_steps), device=valid.device) * _STRIDE % len(valid)
    from_steps, from_envs = valid[chosen].unbind(1)
    for buffer in _sample_buffers(storage):
        buffer[to_steps, to_envs] = buffer[from_steps, from_envs]
    # [T, layers, N, hidden]
    for buffer in (*(storage.saved_hidden_state_a or ()), *(storage.saved_hidden_state_c or ())):
        buffer[to_steps, :, to_envs] = buffer[from_steps, :, from_envs]
    storage.dones[:-1][invalid_TN[1:]] = 1


def _sample_buffers(storage: Any) -> Iterator[torch.Tensor]:
    """Return every buffer [T, N, ...] of what is learned from, but not the dones."""
    yield from storage.observations.values()
    yield from (storage.actions, storage.rewards)
    if storage.training_type == "distillation":
        yield storage.privileged_actions
    else:
        yield from (storage.values, storage.actions_log_prob, storage.returns, storage.advantages)
    yield from storage.distribution_params or ()
