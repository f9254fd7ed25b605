# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an algorithm asks of its optional pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from rsl_rl.storage import RolloutStorage


class ExtensionLoss(NamedTuple):
    """What an extension says about a mini-batch; scalars."""

    added: torch.Tensor | None
    """Added to the algorithm's loss; None for nothing."""
    logged: torch.Tensor
    """Shown in the log, without gradient."""


class Extension:
    """An optional piece of an algorithm. Every method does nothing unless a subclass replaces it."""

    loss_name: str
    """Its name among the losses."""

    def intrinsic_rewards(self, obs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Return rewards [N] to add for arriving at observations, groups [N, ...]; None for none."""

    def prepare_batch(self, batch: RolloutStorage.Batch) -> None:
        """Change a mini-batch, which is the callee's own copy, before the losses are computed."""

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:
        """Return the loss of a mini-batch.

        Args:
            actor: The model that acts.
            batch: The mini-batch after :meth:`prepare_batch`.
            num_samples: Samples of it that come from the rollout; they come first.
            policy: The output distribution for its observations.
        """
        raise NotImplementedError

    def step(self, is_bad: torch.Tensor) -> None:
        """Learn from the gradient of the loss that was added, with an optimizer of its own.

        Args:
            is_bad: Scalar, bool: whether to change nothing this time, known to the device only.
        """

    def update_normalization(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Merge the rollout's observations, groups [T, N, ...], into running statistics."""

    def train(self, mode: bool = True) -> Any:
        """Switch training mode on or off."""
