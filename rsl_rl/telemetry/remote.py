# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the writers of logging services share."""

from __future__ import annotations

import contextlib
import importlib
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_TIMEOUT = 60.0
"""Seconds that a service may take to open a run."""
STOP_TIMEOUT = 120.0
"""Seconds that a service may take to receive what is left at the end of a run."""


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


def ends_with_an_error() -> bool:
    """Return whether the run that is being stopped is ending with an exception."""
    return sys.exc_info()[0] is not None


def place_in_run(path: str | Path, log_dir: str | Path) -> Path:
    """Return a file's path within its run, e.g. ``git/project.diff``, or its bare name if it lies elsewhere."""
    path, log_dir = Path(path).resolve(), Path(log_dir).resolve()
    return path.relative_to(log_dir) if path.is_relative_to(log_dir) else Path(path.name)


class RunIdentity:
    """Remembers in a run's folder under which name a service knows it, so that going on continues the same run."""

    def __init__(self, log_dir: str | Path, service: str) -> None:
        """Look into the folder.

        Args:
            log_dir: Folder of the run.
            service: Lower-case name of the service.
        """
        self._path = Path(log_dir) / f".{service}_run"

    def read(self) -> str | None:
        """Return the name, or None for a new run."""
        try:
            return self._path.read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError):
            return None

    def write(self, name: str) -> None:
        """Remember the name."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(name + "\n", encoding="utf-8")


class BackgroundCalls:
    """Makes calls one after the other in a thread, so that a slow or hanging service cannot hold up training.

    The first call that fails ends it: its exception is raised by the next :meth:`submit` or :meth:`finish`.
    """

    def __init__(self, name: str, max_waiting: int = 1000) -> None:
        """Start the thread.

        Args:
            name: What the calls go to, for errors.
            max_waiting: So many calls may wait before the service counts as not keeping up.
        """
        self._name = name
        self._waiting: queue.Queue[Callable[[], Any] | None] = queue.Queue(max_waiting)
        self._error: BaseException | None = None
        self._ended = threading.Event()
        # A thread that hangs must not keep the process alive.
        threading.Thread(target=self._work, name=f"{name} log writer", daemon=True).start()

    def submit(self, call: Callable[[], Any]) -> None:
        """Make a call soon.

        Raises:
            Exception: That of the earlier call that failed.
            TimeoutError: Too many calls are waiting.
        """
        self._raise_error()
        try:
            self._waiting.put_nowait(call)
        except queue.Full:
            raise TimeoutError(f"{self._name} does not keep up: {self._waiting.maxsize} calls are waiting.") from None

    def call(self, call: Callable[[], Any], timeout: float) -> Any:
        """Make a call, wait for it and return what it returns.

        Raises:
            Exception: That of this or an earlier call that failed.
            TimeoutError: It took longer than ``timeout`` seconds.
        """
        result: list[Any] = []
        done = threading.Event()

        def noted() -> None:
            try:
                result.append(call())
            finally:
                done.set()

        self.submit(noted)
        answered = done.wait(timeout)
        if answered and not result:
            self._ended.wait(timeout)
        self._raise_error()
        if not answered:
            raise TimeoutError(f"{self._name} did not answer for {timeout:g} s.")
        return result[0]

    def finish(self, timeout: float) -> None:
        """Wait until every call was made, and end the thread.

        Raises:
            Exception: That of a call that failed.
            TimeoutError: It took longer than ``timeout`` seconds.
        """
        until = time.monotonic() + timeout
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=timeout)
        self._ended.wait(max(0.0, until - time.monotonic()))
        self._raise_error()
        if not self._ended.is_set():
            raise TimeoutError(f"{self._name} has not received everything after {timeout:g} s.")

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            try:
                call()
            except BaseException as error:
                self._error = error
                break
        self._ended.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
