# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One step of all environments on its way into the rollout, and a part of the rollout on its way out.

Legend: T steps, N environments, B samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.modules import HiddenState


class Transition:
    """One step of all environments, filled by the algorithm and copied by :meth:`add_transition`."""

    def __init__(self) -> None:
        self.clear()

    def defer(self, field: str, compute: Callable[[], Any]) -> None:
        """Let a field be computed when it is read; unread, it can be computed for all steps at once later."""
        self.__dict__.pop(field, None)
        self._deferred[field] = compute

    def has(self, field: str) -> bool:
        """Return whether a field is there already, without computing it."""
        return field in self.__dict__

    def __getattr__(self, name: str) -> Any:
        compute = self.__dict__.get("_deferred", {}).get(name)
        if compute is None:
            raise AttributeError(f"A transition has no '{name}'.")
        value = compute()
        setattr(self, name, value)
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._deferred: dict[str, Callable[[], Any]] = {}
        self.observations: TensorDict | None = None
        self.actions: torch.Tensor | None = None
        self.privileged_actions: torch.Tensor | None = None
        self.rewards: torch.Tensor | None = None
        self.dones: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.actions_log_prob: torch.Tensor | None = None
        self.distribution_params: tuple[torch.Tensor, ...] | None = None
        self.hidden_states: tuple[HiddenState, HiddenState] = (None, None)
        self.cut_off: torch.Tensor | None = None
        """[N], bool: where the reward is yet to be given the value of the observation, since the time limit struck."""


@dataclass
class Batch:
    """A part of the rollout: samples [B, ...], or for recurrent models whole environments [T, B, ...].

    In the latter case observations are padded trajectories [T, n_traj, ...] with ``masks`` [T, n_traj].
    """

    observations: TensorDict | None = None
    actions: torch.Tensor | None = None
    values: torch.Tensor | None = None
    advantages: torch.Tensor | None = None
    returns: torch.Tensor | None = None
    old_actions_log_prob: torch.Tensor | None = None
    old_distribution_params: tuple[torch.Tensor, ...] | None = None
    hidden_states: tuple[HiddenState, HiddenState] = (None, None)
    masks: torch.Tensor | None = None
    privileged_actions: torch.Tensor | None = None
    dones: torch.Tensor | None = None

    def map(self, function: Callable[[Any], Any]) -> Batch:
        """Return the batch with a function applied to every tensor and to the observations as a whole."""

        def mapped(value: Any) -> Any:
            if isinstance(value, (torch.Tensor, TensorDict)):
                return function(value)
            return tuple(mapped(item) for item in value) if isinstance(value, tuple) else value

        return replace(self, **{field.name: mapped(getattr(self, field.name)) for field in fields(self)})
