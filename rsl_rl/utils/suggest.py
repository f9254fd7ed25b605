# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Error texts that name the nearest valid choice."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


def did_you_mean(name: object, options: Iterable[str], limit: int = 3, cutoff: float = 0.6) -> str:
    """Return ``" Did you mean 'x' or 'y'?"`` for the options closest to ``name``, or an empty string."""
    by_lower: dict[str, str] = {}
    for option in options:
        by_lower.setdefault(option.lower(), option)
    lower = str(name).lower()
    # "Go1Joystick-v1" is closer to "Go1JoystickFlatTerrain-v1" than letters alone say.
    stem = lower.rpartition("-v")[0] or lower
    begins = [option for option in by_lower if len(stem) > 3 and option.startswith(stem)]
    close = [*begins, *difflib.get_close_matches(lower, list(by_lower), n=limit, cutoff=cutoff)]
    close = list(dict.fromkeys(close))[:limit]
    if not close:
        return ""
    return f" Did you mean {' or '.join(repr(by_lower[match]) for match in close)}?"


def check_choice(what: str, value: object, valid: Collection[str], of: str = "") -> None:
    """Raise ValueError, with the closest match, unless ``value`` is one of the valid ones."""
    if not isinstance(value, str) or value not in valid:
        raise ValueError(f"Unknown {what} {value!r}{of}.{did_you_mean(value, valid)} Valid: {listed(valid)}.")


def listed(options: Iterable[object]) -> str:
    """Return the options as text, comma separated, or ``"none"``."""
    return ", ".join(str(option) for option in options) or "none"
