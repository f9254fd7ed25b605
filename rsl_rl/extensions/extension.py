# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What an algorithm asks of its optional pieces."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from rsl_rl.config import check_options
from rsl_rl.learning import Optimizer
from rsl_rl.storage import RolloutStorage
from rsl_rl.utils import listed
from rsl_rl.utils.option_values import plain


class ExtensionLoss(NamedTuple):
    """What an extension says about a mini-batch; scalars."""

    added: torch.Tensor | None
    """Added to the algorithm's loss; None for nothing."""
    logged: torch.Tensor | Mapping[str, torch.Tensor]
    """Shown in the log, without gradient: one number under the extension's ``loss_name``, or several by their names."""

    def metrics(self, name: str) -> dict[str, torch.Tensor]:
        """Return what is logged by name."""
        return dict(self.logged) if isinstance(self.logged, Mapping) else {name: self.logged}


class Extension:
    """An optional piece of an algorithm. Every method does nothing unless a subclass replaces it."""

    loss_name: str
    """Its name among the losses."""
    counters: tuple[str, ...] = ()
    """Names of plain integers that no loss reads: a captured step stays valid when they change."""

    def intrinsic_rewards(self, obs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Return rewards [N] to add for arriving at observations, groups [N, ...]; None for none."""

    def prepare_batch(self, batch: RolloutStorage.Batch) -> None:
        """Change a mini-batch, which is the callee's own copy, before the losses are computed."""

    def batch_loss(self, actor: Any, batch: RolloutStorage.Batch, num_samples: int, policy: Any) -> ExtensionLoss:
        """Return the loss of a mini-batch that :meth:`prepare_batch` has changed, without side effects.

        Its first ``num_samples`` are those of the rollout; ``policy`` is the actor's distribution for its observations.
        """
        raise NotImplementedError

    def optimized(self) -> tuple[Optimizer | None, list[nn.Parameter]]:
        """Return an optimizer of its own, which the algorithm's gradient step steps, and its parameters."""
        return None, []

    def update_normalization(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Merge the rollout's observations, groups [T, N, ...], into running statistics."""

    def parts(self) -> dict[str, Any]:
        """Return what must survive a resume, by its key in a checkpoint: anything with ``load_state_dict``."""
        return {}

    def process_state(self) -> dict[str, Any]:
        """Return what it remembers of this process's environments, as tensors and plain data."""
        return {}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on with what :meth:`process_state` returned."""


def checked_options(
    alg_cfg: Mapping[str, Any], section: str, extension: type, given: Collection[str]
) -> dict[str, Any] | None:
    """Return the options of an extension in an algorithm's configuration, None without; the library knows ``given``."""
    options, where = alg_cfg.get(section), f"algorithm.{section}"
    if options is None:
        return None
    options = check_options(extension, plain(options, dict[str, Any]), where)
    for name, parameter in inspect.signature(extension).parameters.items():
        if parameter.default is parameter.empty and name not in {*options, *given}:
            raise ValueError(f"'{where}' lacks the option '{name}'. It has: {listed(options)}.")
    return options
