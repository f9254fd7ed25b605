# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The last seconds of some numbers, for plots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class History:
    """The latest values of named numbers, one set a step; a name that is new has been NaN so far."""

    def __init__(self, length: int, step_dt: float) -> None:
        """Remember ``length`` steps of ``step_dt`` seconds."""
        self._length, self._step_dt = length, step_dt
        self._columns: dict[str, np.ndarray] = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Append the numbers of a step."""
        for name in [*values, *(name for name in self._columns if name not in values)]:
            column = self._columns.setdefault(name, np.full(self._length, np.nan))
            column[:-1] = column[1:]
            column[-1] = values.get(name, np.nan)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    @property
    def names(self) -> list[str]:
        """The names in the order in which they came."""
        return list(self._columns)

    def of(self, *names: str) -> tuple[np.ndarray, ...]:
        """Return times [length], seconds up to now, which is 0, and the values [length] of each name."""
        times = np.arange(1 - self._length, 1) * self._step_dt
        nothing = np.full(self._length, np.nan)
        return times, *(self._columns.get(name, nothing).copy() for name in names)
