# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Options in whatever form programs keep them, as plain Python values.

NumPy's and torch's numbers and arrays, enumerations, paths, dataclasses, and the containers of configuration libraries
(OmegaConf, for example) are taken by what they hold.
"""

from __future__ import annotations

import dataclasses
import decimal
import enum
import functools
import inspect
import numbers
import os
import re
import sys
import types
import typing
from collections import UserString
from collections.abc import Callable, Collection, KeysView, Mapping, Sequence, ValuesView
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np

from rsl_rl.utils.option_types import check_type, has_range, has_type

_TEXTS = (str, bytes, bytearray, memoryview, UserString)
_NO_LIST = (*_TEXTS, tuple)  # Of the tuples, named ones are left alone.
_Constructor = TypeVar("_Constructor", bound=Callable[..., None])
# YAML 1.1, and so most of its readers, takes numbers of this form for text.
EXPONENTIAL = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")


def plain(value: Any, expected: Any = Any, where: str = "") -> Any:
    """Return a value as plain Python where something plain is expected: dict, list, tuple, str, number, bool or None.

    Without an annotation ``expected``, containers and numbers become plain, and everything else stays as it is: options
    of a program's own class may be anything. So do functions and classes, and what cannot be taken as expected. A value
    that cannot be read, such as a missing one of OmegaConf, is a ValueError with the name of the option, ``where``.
    """
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Annotated:
        return plain(value, arguments[0], where)
    if origin in (Union, types.UnionType):
        if type(value) in arguments:
            return value
        candidates = ((plain(value, option, where), option) for option in arguments)
        return next((found for found, option in candidates if has_type(found, option)), value)
    if origin in (list, tuple, Sequence):
        return _as_sequence(value, origin, arguments, where)
    if expected is dict or origin in (dict, Mapping) or dataclasses.is_dataclass(expected):
        kinds = arguments if len(arguments) == 2 else (Any, Any)
        return _as_dict(value, *kinds, where, takes_objects=True)
    if origin is Literal:
        return as_scalar(value, str)
    if expected in (bool, int, float, str):
        return as_scalar(value, expected)
    return _as_it_is(value, where) if expected is Any else value


def entries_of(value: Any, where: str = "", takes_objects: bool = True) -> dict[Any, Callable[[], Any]] | None:
    """Return the functions that read the values of a mapping, by their keys; None for anything else.

    With ``takes_objects`` dataclasses and other objects are mappings, too, by their public attributes.
    """
    objects = (enum.Enum, *_loaded("torch.nn:Module", "tensordict:TensorDictBase"))
    if callable(value) or isinstance(value, objects) or hasattr(value, "shape"):
        return None
    # Some configurations are no Mapping, but have what makes one.
    if isinstance(value, Mapping) or all(hasattr(value, name) for name in ("keys", "items", "__getitem__", "__iter__")):
        keys, get = list(value.keys()), value.__getitem__
    elif takes_objects and dataclasses.is_dataclass(value):
        keys, get = [field.name for field in dataclasses.fields(value)], functools.partial(getattr, value)
    elif takes_objects and (attributes := getattr(value, "__dict__", None)):
        keys, get = [name for name in attributes if not name.startswith("_")], attributes.__getitem__
    else:
        return None

    def read(key: Any) -> Any:
        try:
            return get(key)
        except Exception as error:  # OmegaConf: a value that is missing, or refers to one that is not there
            place, reason = f"{where}.{key}".lstrip("."), str(error).partition("\n")[0]
            raise ValueError(f"The value of '{place}' cannot be read from {type(value).__name__}: {reason}") from error

    return {key: functools.partial(read, key) for key in keys}


def takes_plain_options(constructor: _Constructor) -> _Constructor:
    """Let a constructor see its arguments as plain values of the annotated types, and check their ranges.

    What is not plain by its annotation, such as a tensor or a model, is passed on as it is, and so is ``device``.
    """
    names = list(inspect.signature(constructor).parameters)[1:]

    @functools.cache
    def declared() -> dict[str, Any]:
        hints = typing.get_type_hints(constructor, include_extras=True)
        return {name: hint for name, hint in hints.items() if name not in ("device", "return")}

    @functools.wraps(constructor)
    def taking(self: Any, *args: Any, **kwargs: Any) -> None:
        def seen(name: str, value: Any) -> Any:
            expected = declared().get(name)
            if expected is None:
                return value
            value = plain(value, expected, name)
            if has_range(expected):
                check_type(value, expected, f"{type(self).__name__}.{name}")
            return value

        positional = [seen(name, value) for name, value in zip(names, args, strict=False)]
        constructor(self, *positional, *args[len(names) :], **{name: seen(name, kwargs[name]) for name in kwargs})

    return typing.cast(_Constructor, taking)


def _loaded(*names: str) -> list[type]:
    """Return classes of packages that take seconds to load; as long as they are not loaded they have no objects."""
    places = (name.partition(":")[::2] for name in names)
    return [getattr(sys.modules[module], name) for module, name in places if module in sys.modules]


def _as_it_is(value: Any, where: str) -> Any:
    if isinstance(value, np.generic) or (isinstance(value, enum.Enum) and isinstance(value, (str, int))):
        return as_scalar(value, Any)
    if isinstance(value, UserString):
        return str(value)
    if type(value) is tuple or (
        isinstance(value, (Sequence, KeysView, ValuesView)) and not isinstance(value, _NO_LIST)
    ):
        items = [plain(item, Any, f"{where}[{index}]") for index, item in enumerate(typing.cast(Any, value))]
        return tuple(items) if type(value) is tuple else items
    return _as_dict(value, Any, Any, where)


def _as_dict(value: Any, of_keys: Any, of_values: Any, where: str, takes_objects: bool = False) -> Any:
    if (entries := entries_of(value, where, takes_objects)) is None:
        return value
    places = ((key, f"{where}.{key}".lstrip("."), read) for key, read in entries.items())
    return {plain(key, of_keys): plain(read(), of_values, place) for key, place, read in places}


def _as_sequence(value: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Any:
    if not isinstance(value, Collection) or isinstance(value, (*_TEXTS, Mapping, set, frozenset)):
        return value  # Nobody knows the order of a set.
    items = value.tolist() if hasattr(value, "tolist") else value  # type: ignore[attr-defined]
    if not isinstance(items, Collection):
        return value
    is_each_its_own = origin is tuple and Ellipsis not in arguments and len(arguments) == len(items)
    kinds = arguments if is_each_its_own else arguments[:1] * len(items)
    pairs = enumerate(zip(items, kinds, strict=True))
    plain_items = [plain(item, kind, f"{where}[{index}]") for index, (item, kind) in pairs]
    return tuple(plain_items) if isinstance(value, tuple) else plain_items


def as_scalar(value: Any, expected: Any = Any) -> Any:
    """Return the one number or text that a value holds, and anything else as it is."""
    if callable(value):
        return value
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, np.generic) or callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except (TypeError, ValueError, RuntimeError):  # It holds several.
            return value
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, (UserString, *_loaded("torch:device", "torch:dtype"))):
        value = str(value).removeprefix("torch.")
    if expected is bool and (value is None or (type(value) in (int, float) and value in (0, 1))):
        return bool(value)
    if expected is float:
        is_number = isinstance(value, (numbers.Real, decimal.Decimal)) and not isinstance(value, (bool, int))
        if is_number or (isinstance(value, str) and EXPONENTIAL.match(value)):
            return float(value)
    # A subclass of str, for example, prints and compares as it likes.
    kinds = (kind(value) for kind in (bool, int, float, str) if isinstance(value, kind))
    return next(kinds, value)
