# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of configuration sections against the classes they configure."""

from __future__ import annotations

import dataclasses
import inspect
import numbers
import types
import typing
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from rsl_rl.compat.configurations import legacy_message, modernize_config
from rsl_rl.config.schema import RunnerConfig, options_of, types_of
from rsl_rl.utils import check_compile_mode, did_you_mean, listed, resolve_callable

# Options of a section that its class need not take: its models are built with them.
_BUILT_WITH = {"algorithm": ("share_cnn_encoders",)}
_REQUIRED = ("num_steps_per_env", "obs_groups", "save_interval")


def check_options(configured: Any, options: Mapping[str, Any], where: str) -> None:
    """Raise unless every option is a constructor argument of the class and has the declared type.

    Args:
        configured: The class (or factory function) that the section configures.
        options: The section without ``class_name``.
        where: The section's place in the configuration, e.g. ``"actor.distribution_cfg"``.

    Raises:
        ValueError: An option is unknown; names it, the class, its valid options and the closest match.
        TypeError: An option has the wrong type.
    """
    valid, accepts_any = options_of(configured)
    name = getattr(configured, "__name__", str(configured))
    for key in options:
        if not isinstance(key, str):
            raise ValueError(f"The options of {name} (in '{where}') are names, but one of them is {key!r}.")
        if key not in valid and not accepts_any and key not in _BUILT_WITH.get(where, ()):
            raise ValueError(
                f"{name} has no option '{key}' (in '{where}').{did_you_mean(key, valid)} Options: {listed(valid)}."
            )
    declared = types_of(configured)
    for key, value in options.items():
        if key in declared:
            check_type(value, declared[key], f"{where}.{key}")


def check_kind(configured: Any, kind: type, where: str) -> None:
    """Raise ValueError unless a section names a subclass of ``kind``, or a function, which may return one."""
    if inspect.isclass(configured) and not issubclass(configured, kind):
        raise ValueError(f"'{where}.class_name' must name a subclass of {kind.__name__}, got {configured.__name__}.")


def takes_option(configured: Any, option: str) -> bool:
    """Return whether a class, or factory function, has a constructor argument of this name."""
    valid, accepts_any = options_of(configured)
    return accepts_any or option in valid


def check_type(value: Any, expected: Any, where: str) -> None:
    """Raise TypeError unless ``value`` fits the annotation ``expected``."""
    if has_type(value, expected):
        return
    hint = ""
    if isinstance(value, str) and has_type(1.0, expected):
        hint = " A number is expected, not text: YAML reads 1e-3 as text, write 1.0e-3."
    raise TypeError(f"'{where}' must be {describe(expected)}, got {type(value).__name__}: {value!r}.{hint}")


def resolve_runner_config(
    train_cfg: Mapping[str, Any], obs_group_names: Collection[str] | None = None
) -> dict[str, Any]:
    """Return a checked deep copy of a runner's configuration; the caller's is not changed.

    Unknown keys at the top level are kept: environments and launchers put their own there. Layouts of earlier releases
    are translated, with one warning that shows the new form.

    Args:
        train_cfg: The configuration in the layout that the runners take or took.
        obs_group_names: Names of the environment's observation groups, for configurations without ``obs_groups``.

    Raises:
        ValueError: A required key is missing or a value is out of range.
        TypeError: A value has the wrong type.
    """
    if not isinstance(train_cfg, Mapping):
        raise TypeError(f"The runner's configuration must be a dict, got {type(train_cfg).__name__}.")
    given, (train_cfg, changes) = train_cfg, modernize_config(train_cfg, obs_group_names)
    if changes:
        warnings.warn(legacy_message(given, train_cfg, changes), stacklevel=3)
    declared = typing.get_type_hints(RunnerConfig)
    for key in _REQUIRED:
        if key not in train_cfg:
            close = did_you_mean(key, [str(option) for option in train_cfg], limit=1)
            found = close.replace("Did you mean", "There is").rstrip("?") + "." if close else ""
            raise ValueError(f"The runner's configuration lacks the required key '{key}'.{found}")
    if isinstance(mode := train_cfg.get("torch_compile_mode"), str):
        check_compile_mode(mode)
    for key, value in train_cfg.items():
        if key in declared:
            check_type(value, declared[key], key)
        elif hint := did_you_mean(key, declared, cutoff=0.85):
            warnings.warn(f"The runner does not use the configuration key '{key}'.{hint}", stacklevel=3)
    for key in ("num_steps_per_env", "save_interval"):
        if train_cfg[key] < 1:
            raise ValueError(f"'{key}' must be at least 1, got {train_cfg[key]}.")
    return train_cfg


def checked_algorithm(cfg: Mapping[str, Any]) -> Any:
    """Return the algorithm's class name, after its section was checked as by :func:`check_options`."""
    algorithm = cfg.get("algorithm")
    if not isinstance(algorithm, dict) or "class_name" not in algorithm:
        raise ValueError("The configuration needs a section 'algorithm' with a 'class_name', for example 'PPO'.")
    options = {key: value for key, value in algorithm.items() if key != "class_name"}
    check_options(resolve_callable(algorithm["class_name"]), options, "algorithm")
    return algorithm["class_name"]


def has_type(value: Any, expected: Any) -> bool:
    """Return whether ``value`` may stand for a field annotated with ``expected``.

    Lists and tuples are alike, an integer may stand for a float, a mapping for a nested dataclass.
    """
    if expected is Any:
        return True
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
    if expected is type(None):
        return "None"
    return getattr(expected, "__name__", str(expected))
