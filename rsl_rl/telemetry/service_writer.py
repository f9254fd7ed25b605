# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the writers of logging services share."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rsl_rl.telemetry.background_calls import BackgroundCalls
from rsl_rl.telemetry.metrics_csv import is_over_wall_time
from rsl_rl.telemetry.writer import LogWriter

START_TIMEOUT = 60.0
"""Seconds that a service may take to open a run."""
STOP_TIMEOUT = 120.0
"""Seconds that a service may take to receive what is left at the end of a run."""


class Number(NamedTuple):
    """One number of a run."""

    tag: str
    value: float
    step: int
    time: float
    """When it was measured, in seconds since 1970."""


def import_client(package: str, service: str) -> Any:
    """Return a service's client package.

    Args:
        package: Its name, which is also that of our extra.
        service: What to call the service in the error.

    Raises:
        ImportError: It is not installed, or does not work; says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f'Logging to {service} needs: pip install "rsl-rl-lib[{package}]" ({error})') from error


class ServiceLogWriter(LogWriter):
    """Sends the numbers of a step together, and remembers in the run's folder under which name the service knows it.

    A writer sets ``_calls`` once its run is open, and fulfils ``_send`` and ``_close``. Without ``_calls`` everything
    is done at once, and nothing at the end.
    """

    def __init__(self, log_dir: str, service: str, patience: float) -> None:
        """Begin without numbers.

        Args:
            log_dir: Folder of the run.
            service: Lower-case name of the service.
            patience: Seconds to wait at the end for all calls.
        """
        self._log_dir = Path(log_dir).resolve()
        self._identity = Path(log_dir) / f".{service}_run"
        self._patience = patience
        self._numbers: list[Number] = []
        self._calls: BackgroundCalls | None = None

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        if is_over_wall_time(tag):  # the services show every number over wall time by themselves
            return
        if self._numbers and self._numbers[-1].step != global_step:
            self.flush()
        self._numbers.append(Number(tag, float(scalar_value), global_step, time.time()))

    def flush(self) -> None:  # noqa: D102
        if self._numbers:
            numbers, self._numbers = self._numbers, []
            self._submit(partial(self._send, numbers), are_numbers=True)

    def save_model(self, model_path: str, it: int) -> None:  # noqa: D102
        self.save_file(model_path)

    def stop(self) -> None:  # noqa: D102
        self.flush()
        if self._calls is not None:
            self._close(has_failed=sys.exc_info()[0] is not None)
            self._calls.finish(self._patience)

    def _send(self, numbers: list[Number]) -> None:
        """Send the numbers of one step."""
        raise NotImplementedError

    def _close(self, has_failed: bool) -> None:
        """End the run, which ends with an exception or not."""
        raise NotImplementedError

    def _submit(self, call: Callable[[], Any], are_numbers: bool = False) -> None:
        if self._calls is None:
            call()
        else:
            self._calls.submit(call, are_numbers)

    def _place(self, path: str | os.PathLike[str]) -> Path:
        """Return a file's path within the run, e.g. ``git/project.diff``, or its bare name if it lies elsewhere."""
        path = Path(path).resolve()
        return path.relative_to(self._log_dir) if path.is_relative_to(self._log_dir) else Path(path.name)

    def _known_as(self) -> str | None:
        """Return the name under which the service knows this run, so that going on continues it; None for a new one."""
        try:
            return self._identity.read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError):
            return None

    def _remember(self, name: str) -> None:
        self._identity.parent.mkdir(parents=True, exist_ok=True)
        self._identity.write_text(name + "\n", encoding="utf-8")
