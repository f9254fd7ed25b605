# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From the ``logger`` entry of a configuration to the writers it names."""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rsl_rl.telemetry.metrics_csv import CsvLogWriter
from rsl_rl.telemetry.mlflow import MlflowLogWriter
from rsl_rl.telemetry.neptune import NeptuneLogWriter
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.wandb import WandbLogWriter
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils import did_you_mean, resolve_callable

_SERVICES = (TensorboardLogWriter, MlflowLogWriter, WandbLogWriter, NeptuneLogWriter)
_CLASSES: dict[str, Callable[..., LogWriter]] = {writer.__name__: writer for writer in (*_SERVICES, CsvLogWriter)}
_CLASS_NAMES = {writer.__name__.removesuffix("LogWriter").lower(): writer.__name__ for writer in _SERVICES}
# The name of a project was a key beside that of the logger in earlier releases.
_PROJECT_KEYS = {"wandb": "wandb_project", "neptune": "neptune_project"}


class WriterConfig(NamedTuple):
    """A writer that can be opened as soon as the run has a folder."""

    name: str
    """Lower-case name, e.g. ``"tensorboard"``."""
    open: Callable[[str], LogWriter]
    """Makes the writer for the run's folder."""


def configured_writers(logger: Any, cfg: Mapping[str, Any] | None = None) -> list[WriterConfig]:
    """Return the writers that a configuration names; nothing is opened.

    Args:
        logger: A name, a class, ``"module:Class"``, a dict with one of these as ``class_name`` and with constructor
            arguments, a list of those, or None.
        cfg: The runner's configuration, for ``wandb_project``, ``neptune_project`` and ``experiment_name``.

    Raises:
        ValueError: There is no such writer, or its project is not named.
        TypeError: A writer's constructor does not take these arguments.
    """
    if isinstance(logger, (list, tuple)):
        return [writer for entry in logger for writer in configured_writers(entry, cfg)]
    if isinstance(logger, str):
        logger = None if logger.lower() == "none" else _named(logger, cfg or {})
    if logger is None:
        return []
    if callable(logger):
        logger = {"class_name": logger}
    if isinstance(logger, Mapping) and "class_name" in logger:
        return [_checked(**logger)]
    raise ValueError(f"'logger' must be a name or a dict with 'class_name', or a list of those, got {logger!r}.")


def _named(name: str, cfg: Mapping[str, Any]) -> dict[str, str]:
    """Return a plain name as a dict; in earlier releases the project was under a key of its own."""
    lower = name.lower()
    if lower not in _CLASS_NAMES:
        return {"class_name": name}
    writer = {"class_name": _CLASS_NAMES[lower]}
    if lower == "mlflow" and cfg.get("experiment_name"):
        writer["experiment_name"] = str(cfg["experiment_name"])
    if lower in _PROJECT_KEYS:
        key = _PROJECT_KEYS[lower]
        project = cfg.get(key)
        new_form = f"logger: {{class_name: {writer['class_name']}, project_name: {project or 'PROJECT'}}}"
        if not project:
            raise ValueError(f"The logger '{lower}' needs the name of a project: {new_form}")
        warnings.warn(
            f"'logger: {lower}' with '{key}' is the form of earlier releases; write instead: {new_form}",
            DeprecationWarning,
            stacklevel=_frames_to_the_caller(),
        )
        writer["project_name"] = str(project)
    return writer


def _frames_to_the_caller() -> int:
    """Return the level of the first frame outside this library: Python shows such a warning to scripts only."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "rsl_rl":
        level, frame = level + 1, frame.f_back
    return level


def _checked(class_name: Any, **options: Any) -> WriterConfig:
    """Return the writer of a class, after its constructor was asked whether it takes the options."""
    make: Any = None
    if isinstance(class_name, str):
        make = _CLASSES.get(_CLASS_NAMES.get(class_name.lower(), class_name))
        if make is None and not {":", "."} & set(class_name):
            raise ValueError(
                f"Unknown logger '{class_name}'.{did_you_mean(class_name, [*_CLASS_NAMES, *_CLASSES])} Valid: "
                f"{', '.join(_CLASS_NAMES)}, none, a class or its name 'module:Class', or a dict with one of these as "
                "'class_name' and constructor arguments."
            )
    make = make or resolve_callable(class_name)
    name = getattr(make, "__name__", str(make))
    with contextlib.suppress(ValueError):  # a class without a signature is known only when it is called
        signature = inspect.signature(make)
        try:
            signature.bind(**{"log_dir": "", **options})
        except TypeError as error:
            unknown = (key for key in options if key not in signature.parameters)
            near = "".join(did_you_mean(key, signature.parameters) for key in unknown)
            raise TypeError(
                f"The logger {name} does not take these options: {error}.{near} It takes {signature}."
            ) from error

    def open_writer(log_dir: str) -> LogWriter:
        writer = make(**{"log_dir": log_dir, **options})
        if not callable(getattr(writer, "add_scalar", None)):
            raise TypeError(f"{type(writer).__name__} has no method add_scalar(tag, scalar_value, global_step).")
        return writer

    return WriterConfig(name.removesuffix("LogWriter").lower(), open_writer)
