# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Notices early that a training is running away."""

from __future__ import annotations

import math
import warnings
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from rsl_rl.runners.callbacks import Callback

if TYPE_CHECKING:
    from rsl_rl.runners.on_policy_runner import OnPolicyRunner

_HISTORY = 50
_FIRST_LOOK = 10
_PAUSE = 50
# Tag -> what it is called, how many times its usual value is a jump, and below what it is not worth a word.
_WATCHED = {
    "Loss/value": ("value loss", 100.0, 1.0),
    "Update/kl": ("KL divergence", 100.0, 0.1),
    "Update/clipped": ("share of clipped samples", 10.0, 0.5),
    "Update/actor_gradient": ("actor's gradient", 100.0, 1.0),
    "Update/critic_gradient": ("critic's gradient", 100.0, 1.0),
}


class RunawayWatch(Callback):
    """Compares the numbers of an update with the median of the last 50 ones."""

    def __init__(self) -> None:
        """Start without a history."""
        self._history = {tag: deque[float](maxlen=_HISTORY) for tag in _WATCHED}
        self._quiet_until = dict.fromkeys(_WATCHED, 0)

    def on_iteration_end(self, runner: OnPolicyRunner) -> None:
        """Warn of what has jumped by orders of magnitude, once in 50 iterations; keep the checkpoint from before it."""
        iteration, jumps = runner.current_learning_iteration, []
        numbers = {f"Loss/{name}": value for name, value in runner.losses.items()}
        # A rollout without anything to learn from leaves the metrics of the update before.
        numbers = {**numbers, **runner.alg.metrics} if numbers else {}
        for tag, (name, factor, floor) in _WATCHED.items():
            number = numbers.get(tag)
            if number is None or not math.isfinite(number):
                continue
            history = self._history[tag]
            usual = median(history) if len(history) >= _FIRST_LOOK else math.inf
            if number > max(factor * usual, floor) and iteration >= self._quiet_until[tag]:
                jumps.append(f"{name} {number:.3g} (median of the last {len(history)} iterations: {usual:.3g})")
                self._quiet_until[tag] = iteration + _PAUSE
            history.append(number)
        if jumps:
            kept = None if runner.folder is None else runner.folder.protect_latest(f"before_runaway_{iteration}.pt")
            where = "" if kept is None else f" The checkpoint from before is kept as '{kept}'."
            warnings.warn(f"Iteration {iteration}: {'; '.join(jumps)}.{where}", stacklevel=3)
