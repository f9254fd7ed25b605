# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Ranges of options, written beside their types: ``gamma: Fraction = 0.99``.

They are checked wherever an option comes in, and shown in the reference of the configuration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

# What is finite is computed with as float32.
_LARGEST = 3.4028234663852886e38


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``, both included, and of these the finite ones only if ``is_finite``."""

    low: float = -math.inf
    high: float = math.inf
    is_finite: bool = False

    def __contains__(self, number: float) -> bool:
        """Return whether a number is in the range; NaN never is."""
        return self.low <= number <= self.high and (not self.is_finite or abs(number) <= _LARGEST)

    def __str__(self) -> str:
        """Return the range in words, for an error message: "at least 1"."""
        if self.high < math.inf:
            return f"from {self.low:g} to {self.high:g}"
        parts = ["finite"] if self.is_finite else []
        return " and ".join([*parts, f"at least {self.low:g}"] if self.low > -math.inf else parts)


Count = Annotated[int, Range(1)]
WholeNumber = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**64 - 1)]
"""What torch takes."""
Threads = Annotated[int, Range(0, 1024)]
"""OpenMP takes the memory for all of them at once, and ends the process where there is none."""
Port = Annotated[int, Range(0, 65535)]
"""0 for any that is free."""
Fraction = Annotated[float, Range(0, 1)]
NonNegative = Annotated[float, Range(0, is_finite=True)]
Limit = Annotated[float, Range(0)]
"""A limit that may be infinite, which is none."""
Finite = Annotated[float, Range(is_finite=True)]
