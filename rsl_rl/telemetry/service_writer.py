# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the writers of logging services share; the services may be slow or hang."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rsl_rl.telemetry.metrics_csv import is_over_wall_time
from rsl_rl.telemetry.tensorboard import EventFileMethods
from rsl_rl.telemetry.writer import LogWriter
from rsl_rl.utils.install_lines import INSTALL_LINES

START_TIMEOUT = 60.0
"""Seconds that a service may take to open a run."""
STOP_TIMEOUT = 120.0
"""Seconds that a service may take to receive what is left at the end of a run."""


class Number(NamedTuple):
    """One number of a run, and when it was measured in seconds since 1970."""

    tag: str
    value: float
    step: int
    time: float


def import_client(package: str, service: str) -> Any:
    """Return a service's client package, named like our extra; ImportError with the install line if there is none."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f"Logging to {service} needs: {INSTALL_LINES[package]} ({error})") from error


class BackgroundCalls:
    """Makes calls one after the other in a thread, so that a slow or hanging service cannot hold up training.

    The first call that fails ends it: its exception is raised by the next :meth:`submit` or :meth:`finish`. Where too
    many calls wait, the oldest of those that hold numbers are dropped, which is said once.
    """

    def __init__(self, name: str, max_waiting: int = 1000) -> None:
        """Start the thread; with more calls waiting than ``max_waiting`` the service counts as not keeping up."""
        self._name, self._max_waiting = name, max_waiting
        # The first is being made. With each, whether it holds nothing but numbers.
        self._waiting: deque[tuple[Callable[[], Any], bool]] = deque()
        self._changed = threading.Condition()
        self._is_closing = self._has_ended = False
        self._num_dropped = 0
        self._error: BaseException | None = None
        # A thread that hangs must not keep the process alive.
        threading.Thread(target=self._work, name=f"{name} log writer", daemon=True).start()

    def submit(self, call: Callable[[], Any], are_numbers: bool = False) -> None:
        """Make a call soon, without waiting; TimeoutError where too many calls wait that may not be dropped."""
        self._raise_error()
        with self._changed:
            is_full = len(self._waiting) >= self._max_waiting
            if is_full:
                self._drop_oldest_numbers()
            self._waiting.append((call, are_numbers))
            self._changed.notify_all()
        if is_full and self._num_dropped == 1:
            warnings.warn(
                f"{self._name} does not keep up: {self._max_waiting} calls are waiting. Its oldest numbers are "
                "dropped, training goes on.",
                stacklevel=3,
            )

    def call(self, call: Callable[[], Any], timeout: float) -> Any:
        """Make a call, wait for it and return what it returns; raises like :meth:`finish`."""
        result: list[Any] = []
        self.submit(lambda: result.append(call()))
        with self._changed:
            self._changed.wait_for(lambda: result or self._has_ended, timeout)
        self._raise_error()
        if not result:
            raise TimeoutError(f"{self._name} did not answer for {timeout:g} s.")
        return result[0]

    def finish(self, timeout: float) -> None:
        """Wait until all calls are made, and end the thread; TimeoutError after ``timeout`` s says what is lost."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._has_ended, timeout)
            self._raise_error()
            text = "could not keep up" if self._has_ended else f"has not received everything after {timeout:g} s"
            lost = self._num_dropped + sum(are_numbers for _, are_numbers in self._waiting)
            others = sum(not are_numbers for _, are_numbers in self._waiting)
            self._waiting.clear()
        text = f"{self._name} {text}; it has lost the numbers of {lost} iterations and {others} other calls."
        if not self._has_ended:
            raise TimeoutError(text)
        if lost:
            warnings.warn(text, stacklevel=3)

    def _drop_oldest_numbers(self) -> None:
        for place, (_, are_numbers) in enumerate(self._waiting):
            if are_numbers and place > 0:
                del self._waiting[place]
                self._num_dropped += 1
                return
        raise TimeoutError(f"{self._name} does not keep up: {self._max_waiting} calls are waiting.")

    def _work(self) -> None:
        try:
            while (call := self._next()) is not None:
                call()
                with self._changed:
                    if self._waiting:  # or it took too long and was given up
                        self._waiting.popleft()
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _next(self) -> Callable[[], Any] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            return self._waiting[0][0] if self._waiting else None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class ServiceLogWriter(EventFileMethods, LogWriter):
    """Sends the numbers of a step together, and remembers in the run's folder under which name the service knows it.

    A writer sets ``_calls`` once its run is open, and fulfils ``_send`` and ``_close``. Without ``_calls`` everything
    is done at once, and nothing at the end. When its run has ended, numbers go to an event file in the folder.
    """

    def __init__(self, log_dir: str, service: str, patience: float) -> None:
        """Begin without numbers; ``patience`` are the seconds to wait at the end for all calls."""
        self._log_dir = self._events_dir = Path(log_dir).resolve()
        self._identity = Path(log_dir) / f".{service}_run"
        self._patience = patience
        self._numbers: list[Number] = []
        self._calls: BackgroundCalls | None = None
        self._has_ended = False

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:  # noqa: D102
        if is_over_wall_time(tag):  # the services show every number over wall time by themselves
            return
        if self._has_ended and self._calls is not None:
            self._event_file().add_scalar(tag, scalar_value, global_step)
            return
        if self._numbers and self._numbers[-1].step != global_step:
            self.flush()
        self._numbers.append(Number(tag, float(scalar_value), global_step, time.time()))
        if self._has_ended:
            self.flush()

    def flush(self) -> None:  # noqa: D102
        if self._numbers:
            numbers, self._numbers = self._numbers, []
            self._submit(partial(self._send, numbers), are_numbers=True)
        self._flush_events()

    def save_model(self, model_path: str, it: int) -> None:  # noqa: D102
        self.save_file(model_path)

    def stop(self) -> None:  # noqa: D102
        self.flush()
        has_ended, self._has_ended = self._has_ended, True
        if self._calls is not None and not has_ended:
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
