# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whether the value of an option has the type, and lies in the range, with which the option is annotated."""

from __future__ import annotations

import dataclasses
import numbers
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rsl_rl.utils.ranges import Range


def check_type(value: Any, expected: Any, where: str) -> None:
    """Raise TypeError unless ``value`` fits the annotation ``expected``, ValueError unless it is in its range."""
    if not has_type(value, expected):
        hint = ""
        if isinstance(value, str) and has_type(1.0, expected):
            hint = " A number is expected, not text: write it without quotes."
        raise TypeError(f"'{where}' must be {describe(expected)}, got {type(value).__name__}: {value!r}.{hint}")
    for number, valid in _numbers(value, expected):
        if number not in valid:
            shown = "" if number is value else f" in {value!r}"
            raise ValueError(f"'{where}' must be {valid}, got {number!r}{shown}.")


def check_fields(holder: Any) -> None:
    """Raise what :func:`check_type` does unless the fields of a dataclass whose annotations have ranges are in them."""
    for name, expected in typing.get_type_hints(type(holder), include_extras=True).items():
        if has_range(expected):
            check_type(getattr(holder, name), expected, name)


def has_type(value: Any, expected: Any) -> bool:
    """Return whether ``value`` may stand for a field annotated with ``expected``, whatever its range.

    Lists and tuples are alike, an integer may stand for a float, a mapping for a nested dataclass.
    """
    if expected is Any:
        return True
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Annotated:
        return has_type(value, arguments[0])
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
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            has_type(key, arguments[0]) and has_type(item, arguments[1]) for key, item in value.items()
        )
    if dataclasses.is_dataclass(expected):
        return isinstance(value, (Mapping, expected))  # type: ignore[arg-type]
    if expected in (int, float):
        kind = numbers.Integral if expected is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, expected)


def has_range(expected: Any) -> bool:
    """Return whether an annotation limits a number that the value is or holds."""
    return any(isinstance(part, Range) or has_range(part) for part in get_args(expected))


def describe(expected: Any) -> str:
    """Return an annotation in words, for an error message."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Annotated:
        return describe(arguments[0])
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
    if expected is type(None):
        return "None"
    return getattr(expected, "__name__", str(expected))


def _numbers(value: Any, expected: Any) -> Iterator[tuple[Any, Range]]:
    """Yield the numbers of a value that has the type ``expected``, each with its range."""
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Annotated:
        yield from ((value, valid) for valid in arguments[1:] if isinstance(valid, Range))
    elif origin in (Union, types.UnionType):
        yield from (found for option in arguments if has_type(value, option) for found in _numbers(value, option))
    elif origin in (list, tuple, Sequence):
        each = arguments if origin is tuple and arguments[-1] is not Ellipsis else arguments[:1] * len(value)
        yield from (found for item, option in zip(value, each, strict=True) for found in _numbers(item, option))
