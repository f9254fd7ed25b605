# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""When the next step of a simulation is due, and how fast it really goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_MOST_BEHIND = 0.1
"""Seconds by which the simulation may be late before it gives up catching up."""
_WINDOW = 2.0


class Pace:
    """Real time, slow or fast motion, for steps of ``step_dt`` seconds.

    A machine that is too slow falls behind by a tenth of a second at most: then it goes as fast as it can, and
    :attr:`factor` says how fast that is.
    """

    def __init__(self, step_dt: float, clock: Callable[[], float]) -> None:
        """Start now, in real time, by a clock that never goes back."""
        self.step_dt, self._clock, self._speed = step_dt, clock, 1.0
        self._next = clock()
        self._steps: deque[tuple[float, float]] = deque()
        self._since = self._next

    @property
    def speed(self) -> float:
        """How much simulated time is to pass in a second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if speed != self._speed:
            self._speed = speed
            self.restart()

    def restart(self) -> None:
        """Begin anew from now, after a pause."""
        self._next = self._since = self._clock()
        self._steps.clear()

    def take(self) -> bool:
        """Return whether a step is due now; the caller then makes it."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = max(self._next + self.step_dt / self._speed, now - _MOST_BEHIND)
        self._steps.append((now, self.step_dt))
        while self._steps[0][0] < now - _WINDOW:
            self._steps.popleft()
        return True

    def seconds_left(self) -> float:
        """Return how long there is nothing to do."""
        return max(0.0, self._next - self._clock())

    @property
    def factor(self) -> float | None:
        """Simulated seconds per second over the last two seconds; None until half a second has passed."""
        now = self._clock()
        seconds = min(_WINDOW, now - self._since)
        if seconds < 0.25 * _WINDOW:
            return None
        return sum(step for at, step in self._steps if at > now - seconds) / seconds

    @property
    def is_late(self) -> bool:
        """Whether this machine is too slow for the chosen speed."""
        factor = self.factor
        # Of a step that is just due nothing is seen yet.
        return factor is not None and factor < 0.9 * self._speed - 2 * self.step_dt / _WINDOW
