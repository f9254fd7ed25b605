# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Notices early that a training is running away."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Mapping
from statistics import median

from rsl_rl.checkpoint import CheckpointFolder

_HISTORY = 50
_FIRST_LOOK = 10
_PAUSE = 50
# Name -> how many times its usual value is a jump, and below what it is not worth a word.
_WATCHED = {
    "value loss": (100.0, 1.0),
    "KL divergence": (100.0, 0.1),
    "share of clipped samples": (10.0, 0.5),
    "actor's gradient": (100.0, 1.0),
    "critic's gradient": (100.0, 1.0),
}


class RunawayWatch:
    """Compares the numbers of an update with the median of the last 50 ones."""

    def __init__(self) -> None:
        """Start without a history."""
        self._history = {name: deque[float](maxlen=_HISTORY) for name in _WATCHED}
        self._quiet_until = dict.fromkeys(_WATCHED, 0)

    def warn(
        self,
        iteration: int,
        losses: Mapping[str, float],
        diagnostics: Mapping[str, float],
        folder: CheckpointFolder | None,
    ) -> None:
        """Warn of what has jumped, and keep the checkpoint from before it. Arguments as for :meth:`look`."""
        jumps = self.look(iteration, losses, diagnostics)
        if not jumps:
            return
        kept = None if folder is None else folder.protect_latest(f"before_runaway_{iteration}.pt")
        where = "" if kept is None else f" The checkpoint from before is kept as '{kept}'."
        warnings.warn(f"Iteration {iteration}: {'; '.join(jumps)}.{where}", stacklevel=4)

    def look(self, iteration: int, losses: Mapping[str, float], diagnostics: Mapping[str, float]) -> list[str]:
        """Return what has jumped by orders of magnitude in an iteration, with numbers, one text each.

        Args:
            iteration: A quantity is named once in 50 of them.
            losses: Mean losses by name.
            diagnostics: Those of the algorithm.
        """
        numbers = {
            "value loss": losses.get("value"),
            "KL divergence": diagnostics.get("kl"),
            "share of clipped samples": diagnostics.get("clipped"),
            "actor's gradient": diagnostics.get("actor_gradient"),
            "critic's gradient": diagnostics.get("critic_gradient"),
        }
        jumps = []
        for name, number in numbers.items():
            if number is None or not math.isfinite(number):
                continue
            history, (factor, floor) = self._history[name], _WATCHED[name]
            usual = median(history) if len(history) >= _FIRST_LOOK else math.inf
            if number > max(factor * usual, floor) and iteration >= self._quiet_until[name]:
                jumps.append(f"{name} {number:.3g} (median of the last {len(history)} iterations: {usual:.3g})")
                self._quiet_until[name] = iteration + _PAUSE
            history.append(number)
        return jumps
