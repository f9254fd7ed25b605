# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From the ``logger`` entry of a configuration to the writers it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rsl_rl.telemetry.metrics_csv import CsvLogWriter
from rsl_rl.telemetry.tensorboard import TensorboardLogWriter
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils import did_you_mean, resolve_callable

_BY_NAME: dict[str, Callable[..., LogWriter]] = {"tensorboard": TensorboardLogWriter}
_BY_CLASS: dict[str, Callable[..., LogWriter]] = {
    "TensorboardLogWriter": TensorboardLogWriter,
    "CsvLogWriter": CsvLogWriter,
}
# Names of release 5.5.1 that this version has no writer for.
_NOT_YET = ("wandb", "neptune")


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


def configured_writers(logger: Any) -> list[WriterConfig]:
    """Return the writers that a configuration names; nothing is opened.

    Args:
        logger: A name, a dict with ``class_name`` and constructor arguments, a list of those, or None.

    Raises:
        ValueError: There is no such writer.
        TypeError: A writer's constructor does not take these arguments.
    """
    if isinstance(logger, (list, tuple)):
        return [writer for entry in logger for writer in configured_writers(entry)]
    if logger is None:
        return []
    if isinstance(logger, str):
        return _named(logger)
    if isinstance(logger, Mapping) and "class_name" in logger:
        return [_of_class(logger["class_name"], {key: logger[key] for key in logger if key != "class_name"})]
    raise ValueError(f"'logger' must be a name or a dict with 'class_name', or a list of those, got {logger!r}.")


def _named(name: str) -> list[WriterConfig]:
    lower = name.lower()
    if lower == "none":
        return []
    if lower in _BY_NAME:
        return [WriterConfig(lower, _BY_NAME[lower])]
    valid = f"Valid: {', '.join(_BY_NAME)}, none, or a dict with 'class_name' and constructor arguments."
    if lower in _NOT_YET:
        raise ValueError(f"The logger '{name}' is not available in this version. {valid}")
    raise ValueError(f"Unknown logger '{name}'.{did_you_mean(name, _BY_NAME)} {valid}")


def _of_class(class_name: Any, options: dict[str, Any]) -> WriterConfig:
    made_by: Any = _BY_CLASS.get(class_name) if isinstance(class_name, str) else None
    made_by = made_by or resolve_callable(class_name)
    class_name = getattr(made_by, "__name__", str(made_by))
    try:
        signature = inspect.signature(made_by)
    except ValueError:
        # A class without a signature is known only when it is called.
        signature = None
    if signature is not None:
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
