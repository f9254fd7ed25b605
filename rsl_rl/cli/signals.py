# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Stopping a run from outside without losing anything."""

from __future__ import annotations

import contextlib
import signal
from types import FrameType
from typing import Any

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class StopSignals(contextlib.AbstractContextManager["StopSignals"]):
    """Signals end the run after the iteration in progress; a second Ctrl-C ends it at once.

    SIGTERM is how a user or a cluster ends a process, SIGUSR1 how Slurm can announce that it will.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.stop: Any = None
        self._previous = {number: signal.signal(number, self._handle) for number in _STOPPING}

    def __exit__(self, *_: object) -> None:
        for signal_number, handler in self._previous.items():
            signal.signal(signal_number, handler)

    @property
    def exit_code(self) -> int:
        """What the process ends with: 130 after Ctrl-C, else 143, also where another process got the signal."""
        return 128 + (signal.SIGINT if self.received == signal.SIGINT else signal.SIGTERM)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if self.stop is None:
            raise SystemExit(self.exit_code)
        print("\nStopping after this iteration, with a checkpoint. Ctrl-C again stops at once.", flush=True)
        self.stop()
