# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From the ``logger`` entry of a configuration to the writers it names."""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rsl_rl.telemetry.metrics_csv import CsvLogWriter
from rsl_rl.telemetry.mlflow import MlflowLogWriter
from rsl_rl.telemetry.neptune import NeptuneLogWriter
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.wandb import WandbLogWriter
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils import did_you_mean, resolve_callable

_WRITERS = (TensorboardLogWriter, MlflowLogWriter, WandbLogWriter, NeptuneLogWriter)
_BY_NAME = {writer.__name__.removesuffix("LogWriter").lower(): writer for writer in _WRITERS}
_BY_CLASS: dict[str, Callable[..., LogWriter]] = {writer.__name__: writer for writer in (*_WRITERS, CsvLogWriter)}
# The name of a project was a key beside that of the logger in earlier releases.
_PROJECT_KEYS = {"wandb": "wandb_project", "neptune": "neptune_project"}


@dataclass
class WriterConfig:
    """A writer that can be opened as soon as the run has a folder."""

    name: str
    """Lower-case name, e.g. ``"tensorboard"``."""
    make: Callable[..., LogWriter]
    options: dict[str, Any] = field(default_factory=dict)

    def open(self, log_dir: str) -> LogWriter:
        """Return the writer, opened in ``log_dir``."""
        return self.make(**{"log_dir": log_dir, **self.options})


def configured_writers(logger: Any, cfg: Mapping[str, Any] | None = None) -> list[WriterConfig]:
    """Return the writers that a configuration names; nothing is opened.

    Args:
        logger: A name, a dict with ``class_name`` and constructor arguments, a list of those, or None.
        cfg: The runner's configuration, for ``wandb_project``, ``neptune_project`` and ``experiment_name``.

    Raises:
        ValueError: There is no such writer, or its project is not named.
        TypeError: A writer's constructor does not take these arguments.
    """
    if isinstance(logger, (list, tuple)):
        return [writer for entry in logger for writer in configured_writers(entry, cfg)]
    if logger is None:
        return []
    if isinstance(logger, str):
        return _named(logger, cfg or {})
    if isinstance(logger, Mapping) and "class_name" in logger:
        return [_of_class(logger["class_name"], {key: logger[key] for key in logger if key != "class_name"})]
    raise ValueError(f"'logger' must be a name or a dict with 'class_name', or a list of those, got {logger!r}.")


def _named(name: str, cfg: Mapping[str, Any]) -> list[WriterConfig]:
    lower = name.lower()
    if lower == "none":
        return []
    if lower in _PROJECT_KEYS:
        return [_with_project(lower, cfg)]
    if lower == "mlflow" and cfg.get("experiment_name"):
        return [WriterConfig(lower, MlflowLogWriter, {"experiment_name": str(cfg["experiment_name"])})]
    if lower in _BY_NAME:
        return [WriterConfig(lower, _BY_NAME[lower])]
    valid = f"Valid: {', '.join(_BY_NAME)}, none, or a dict with 'class_name' and constructor arguments."
    raise ValueError(f"Unknown logger '{name}'.{did_you_mean(name, _BY_NAME)} {valid}")


def _with_project(name: str, cfg: Mapping[str, Any]) -> WriterConfig:
    """Read the form of earlier releases: a plain name, and the project under a key of its own."""
    made_by, key = _BY_NAME[name], _PROJECT_KEYS[name]
    project = cfg.get(key)
    new_form = f"logger: {{class_name: {getattr(made_by, '__name__', name)}, project_name: {project or 'PROJECT'}}}"
    if not project:
        raise ValueError(f"The logger '{name}' needs the name of a project: {new_form}")
    warnings.warn(
        f"'logger: {name}' with '{key}' is the form of earlier releases; write instead: {new_form}",
        DeprecationWarning,
        stacklevel=_frames_to_the_caller(),
    )
    return WriterConfig(name, made_by, {"project_name": str(project)})


def _frames_to_the_caller() -> int:
    """Return the level of the first frame outside this library: Python shows such a warning to scripts only."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "rsl_rl":
        level, frame = level + 1, frame.f_back
    return level


def _of_class(class_name: Any, options: dict[str, Any]) -> WriterConfig:
    made_by: Any = _BY_CLASS.get(class_name) if isinstance(class_name, str) else None
    made_by = made_by or resolve_callable(class_name)
    class_name = getattr(made_by, "__name__", str(made_by))
    with contextlib.suppress(ValueError):  # a class without a signature is known only when it is called
        signature = inspect.signature(made_by)
        try:
            signature.bind(**{"log_dir": "", **options})
        except TypeError as error:
            near = "".join(
                did_you_mean(key, signature.parameters) for key in options if key not in signature.parameters
            )
            raise TypeError(
                f"The logger {class_name} does not take these options: {error}.{near} It takes {signature}."
            ) from error
    return WriterConfig(class_name.removesuffix("LogWriter").lower(), made_by, options)
