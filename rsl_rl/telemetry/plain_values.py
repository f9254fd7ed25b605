# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations as plain data: what a logging service cannot store becomes text."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any

# Longer texts are cut, in characters.
_MAX_TEXT = 2000
_MAX_DEPTH = 12
_MAX_ELEMENTS = 64


def plain(value: Any) -> Any:
    """Return a value as nested dicts, lists, texts, numbers, booleans and None, whatever it holds.

    Dataclasses and objects become dicts of their public attributes, functions and classes their import path, small
    tensors and arrays lists; infinities, what refers back to itself and everything else become text.

    Args:
        value: Anything; it is not changed.
    """
    return _plain(value, ())


def flat(value: Any, prefix: str = "") -> dict[str, str | int | float | bool]:
    """Return the leaves of any value by their path, all of which begin with ``prefix``, for flat tables of services.

    For example ``{"algorithm/gamma": 0.99, "actor/hidden_dims": "[64, 64]"}``: lists, None and empty dicts as text.
    """
    nested = {prefix: plain(value)} if prefix else plain(value)
    leaves = flattened(nested, separator="/") if isinstance(nested, dict) else {prefix: nested}
    return {
        path: leaf if isinstance(leaf, (str, int, float)) else str(leaf)[:_MAX_TEXT] for path, leaf in leaves.items()
    }


def flattened(section: Mapping[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Return nested mappings as one, under keys such as ``runner.algorithm.gamma``; lists stay whole."""
    leaves: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            leaves |= flattened(value, f"{prefix}{key}{separator}", separator)
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    """Return what :func:`plain` does; ``within`` are the identities of the values that hold this one."""
    # Comparisons by exact type: a subclass (a numpy float, an enumeration) may store or print differently.
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    if type(value) is str:
        return value[:_MAX_TEXT]
    if id(value) in within or len(within) >= _MAX_DEPTH:
        return _text(value)
    try:
        return _parts(value, (*within, id(value)))
    except Exception:  # a property or an iteration of the user's that fails
        return _text(value)


def _parts(value: Any, within: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item, within) for key, item in value.items()}
    if isinstance(value, type):
        owners = value.__mro__[-2::-1]
        # A class without behavior is a way to write down settings: legged_gym nests them.
        if any(_is_behavior(item) for owner in owners for item in vars(owner).values()):
            return _import_path(value)
        return {name: _plain(item, within) for name, item in _settings(*owners).items()} or _import_path(value)
    if hasattr(value, "__qualname__"):  # a function
        return _import_path(value)
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), within) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist") and hasattr(value, "shape"):
        # A tensor, an array or a number of numpy.
        if math.prod(value.shape) > _MAX_ELEMENTS:
            return f"{type(value).__name__} of shape {tuple(value.shape)}"
        return _plain(value.tolist(), within)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [_plain(item, within) for item in value]
    if type(value).__repr__ is object.__repr__ and hasattr(value, "__dict__"):
        settings = _settings(*type(value).__mro__[-2::-1], value)
        return {name: _plain(item, within) for name, item in settings.items()} or _text(value)
    return _text(value)


def _import_path(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"


def _settings(*owners: Any) -> dict[str, Any]:
    """Return the public attributes that are values; a later owner overrides an earlier one."""
    found = {name: item for owner in owners for name, item in vars(owner).items()}
    return {name: item for name, item in found.items() if not name.startswith("_") and not _is_behavior(item)}


def _is_behavior(item: Any) -> bool:
    return inspect.isroutine(item) or isinstance(item, (property, classmethod, staticmethod))


def _text(value: Any) -> str:
    try:
        return str(value)[:_MAX_TEXT]
    except Exception:  # a __str__ of the user's that fails
        return f"<{type(value).__name__}>"
