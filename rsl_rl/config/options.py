# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of configuration sections against the classes they configure."""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from rsl_rl.compat.configurations import legacy_message, modernize_config
from rsl_rl.config.schema import RunnerConfig, options_of, types_of
from rsl_rl.utils import check_compile_mode, did_you_mean, listed, resolve_callable
from rsl_rl.utils.option_types import check_type
from rsl_rl.utils.option_values import entries_of, plain

# Options of a section that its class need not take: its models are built with them.
_BUILT_WITH = {"algorithm": ("share_cnn_encoders",)}
_REQUIRED = ("num_steps_per_env", "obs_groups", "save_interval")
_SECTIONS = ("algorithm", "actor", "critic", "student", "teacher")
# The classes of sections that name none.
_CONFIGURED = {"rnd_cfg": "RandomNetworkDistillation", "symmetry_cfg": "Symmetry", "cnn_cfg": "CNN"}


def check_options(configured: Any, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the options as plain values if every one is a constructor argument of the class and fits its declaration.

    Args:
        configured: The class (or factory function) that the section configures.
        options: The section without ``class_name``.
        where: The section's place in the configuration, e.g. ``"actor.distribution_cfg"``.

    Raises:
        ValueError: An option is out of range, or unknown; names it, the class, its valid options and the closest match.
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
    options = {key: plain(value, declared.get(key, Any), f"{where}.{key}") for key, value in options.items()}
    for key, value in options.items():
        if key in declared:
            check_type(value, declared[key], f"{where}.{key}")
    return options


def check_kind(configured: Any, kind: type, where: str) -> None:
    """Raise ValueError unless a section names a subclass of ``kind``, or a function, which may return one."""
    if inspect.isclass(configured) and not issubclass(configured, kind):
        raise ValueError(f"'{where}.class_name' must name a subclass of {kind.__name__}, got {configured.__name__}.")


def takes_option(configured: Any, option: str) -> bool:
    """Return whether a class, or factory function, has a constructor argument of this name."""
    valid, accepts_any = options_of(configured)
    return accepts_any or option in valid


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
    declared = typing.get_type_hints(RunnerConfig, include_extras=True)
    given = _plain_entries(train_cfg, declared)
    train_cfg, changes = modernize_config(given, obs_group_names)
    if changes:
        warnings.warn(legacy_message(given, train_cfg, changes), stacklevel=3)
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
    return train_cfg


def plain_config(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Return a runner's configuration with plain values, in sections those that the constructors of their classes take.

    Nothing is checked; a section whose class is not found stays as it is.
    """
    cfg = _plain_entries(cfg, typing.get_type_hints(RunnerConfig, include_extras=True))
    return {key: _plain_section(value, key) if key in _SECTIONS else value for key, value in cfg.items()}


def _plain_entries(cfg: Any, declared: Mapping[str, Any]) -> dict[str, Any]:
    if (entries := entries_of(cfg)) is None:
        raise TypeError(f"The runner's configuration must be a dict, got {type(cfg).__name__}.")
    found: dict[str, Any] = {}
    for key, read in entries.items():
        try:
            found[plain(key)] = plain(read(), declared.get(key, Any), str(key))
        except ValueError as error:
            if key in declared or key in ("policy", "runner"):
                raise
            warnings.warn(f"{error}. The runner does not use it, and leaves it out.", stacklevel=4)
        except RecursionError:
            raise ValueError(f"'{key}' of the runner's configuration holds itself, or is nested too deeply.") from None
    return found


def _plain_section(section: Any, where: str, configured: Any = None) -> Any:
    """Return a section, and those in it, with plain values; ``configured`` is its class where it names none."""
    if not isinstance(section, dict):
        return section
    if (name := section.get("class_name", configured)) is not None:
        try:
            configured = resolve_callable(name)
        except (TypeError, ImportError, AttributeError, ValueError):  # Reported when it is built.
            configured = None
    declared = types_of(configured)
    found = {key: plain(value, declared.get(key, Any), f"{where}.{key}") for key, value in section.items()}
    # Options of a CNN may be given by image group.
    return {
        key: _plain_section(value, f"{where}.{key}", _CONFIGURED.get(key, configured)) for key, value in found.items()
    }


def checked_algorithm(cfg: Mapping[str, Any]) -> Any:
    """Return the algorithm's class name, after its section was checked as by :func:`check_options`."""
    algorithm = cfg.get("algorithm")
    if not isinstance(algorithm, dict) or "class_name" not in algorithm:
        raise ValueError("The configuration needs a section 'algorithm' with a 'class_name', for example 'PPO'.")
    options = {key: value for key, value in algorithm.items() if key != "class_name"}
    check_options(resolve_callable(algorithm["class_name"]), options, "algorithm")
    return algorithm["class_name"]
