# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Does a value from a configuration file have the type that a dataclass field declares?"""

from __future__ import annotations

import dataclasses
import numbers
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin


def has_type(value: Any, expected: Any) -> bool:
    """Return whether ``value`` may stand for a field annotated with ``expected``.

    Lists and tuples are alike, an integer may stand for a float, a mapping for a nested dataclass.
    """
    if expected is Any:
        return True
    if expected is None or expected is type(None):
        return value is None
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return any(has_type(value, option) for option in arguments)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if origin in (list, tuple, Sequence):
        if not isinstance(value, (list, tuple)):
            return False
        if origin is not tuple or arguments[-1] is Ellipsis:
            return all(has_type(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(has_type, value, arguments))
    if origin is dict:
        return isinstance(value, Mapping) and all(
            has_type(key, arguments[0]) and has_type(item, arguments[1]) for key, item in value.items()
        )
    if dataclasses.is_dataclass(expected):
        return isinstance(value, (Mapping, expected))  # type: ignore[arg-type]
    if expected is bool:
        return isinstance(value, bool)
    if expected in (int, float):
        kind = numbers.Integral if expected is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, expected)


def describe(expected: Any) -> str:
    """Return an annotation in words, for an error message."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(option) for option in arguments))
    if origin is Literal:
        return " or ".join(repr(option) for option in arguments)
    if origin in (list, tuple, Sequence):
        if origin is not tuple or arguments[-1] is Ellipsis:
            return f"a list of {describe(arguments[0])}"
        return f"a list of {len(arguments)} x {describe(arguments[0])}"
    if origin is dict and arguments[1] is not Any:
        return f"a mapping of {describe(arguments[0])} to {describe(arguments[1])}"
    if origin is dict or dataclasses.is_dataclass(expected):
        return "a mapping"
    if expected is None or expected is type(None):
        return "None"
    return getattr(expected, "__name__", str(expected))
