# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stopping a run from outside without losing anything."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from types import FrameType

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


class StopSignals(contextlib.AbstractContextManager["StopSignals"]):
    """Signals end the run after the iteration in progress; a second Ctrl-C ends it at once.

    SIGTERM is how a user or a cluster ends a process, SIGHUP says that its terminal is gone, and SIGUSR1 is how Slurm
    can announce that it will end it. Signals that the process was started to ignore, as with ``nohup``, stay ignored.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.stop: Callable[[], object] | None = None
        """Makes the run stop soon; without it, a signal ends the process at once."""
        self._process = os.getpid()
        handled = (number for number in _STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None))
        self._previous = {number: signal.signal(number, self._handle) for number in handled}

    def __exit__(self, *_: object) -> None:
        for signal_number, handler in self._previous.items():
            signal.signal(signal_number, handler)

    def stop_with(self, stop: Callable[[], object]) -> None:
        """Let signals call ``stop`` from now on; SystemExit if there was one already, wherever it was lost."""
        self.stop = stop
        if self.received is not None:
            raise SystemExit(self.exit_code)

    @property
    def exit_code(self) -> int:
        """What the process ends with: 130 after Ctrl-C, 129 without its terminal, else 143, as another process does."""
        told = self.received is not None and self.received in (signal.SIGINT, getattr(signal, "SIGHUP", None))
        return 128 + int(self.received if told else signal.SIGTERM)  # type: ignore[arg-type] (it is not None)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._handle_in_a_child(number)
            return
        is_first = self.received is None
        if is_first:
            self.received = number
        if self.stop is None and number != signal.SIGINT:
            raise SystemExit(self.exit_code)
        if self.stop is None or (number == signal.SIGINT and not is_first):
            raise KeyboardInterrupt
        if is_first:
            # Before anything is printed: nobody may be there to read it.
            self.stop()
            with contextlib.suppress(Exception):
                print("\nStopping after this iteration, with a checkpoint. Ctrl-C again stops at once.", flush=True)

    @staticmethod
    def _handle_in_a_child(number: int) -> None:
        """Go on in a process that was forked from the run, an environment's for example: the run will end it.

        Ctrl-C, and the end of a terminal, reach all processes at once.
        """
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
