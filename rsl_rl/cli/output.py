# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Printing that never ends a command: a reader that has left, a terminal that is gone, a disk that is full."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rsl_rl.cli.terminal import printable

# The reader of a pipe (head, less) has left, and wants no more; Windows calls that EINVAL.
_WANTS_NO_MORE = (errno.EPIPE, errno.EINVAL)


@contextlib.contextmanager
def fault_tolerant_output(to_the_end: bool) -> Iterator[None]:
    """Within this block, ``sys.stdout`` and ``sys.stderr`` fall silent when they fail, and raise nothing.

    This covers everything in the process that prints. With ``to_the_end`` it lasts until the process ends.
    """
    before = sys.stdout, sys.stderr
    # Python has no such stream where the process was started without.
    outputs: Any = [_Output(stream or open(os.devnull, "w")) for stream in before]  # noqa: SIM115 (until the end)
    sys.stdout, sys.stderr = outputs
    try:
        yield
    finally:
        for output in outputs:
            output.flush()
        if not to_the_end:
            sys.stdout, sys.stderr = before


class _Output:
    """A text stream that falls silent after its first failure."""

    def __init__(self, stream: Any, is_filtered: bool = True) -> None:
        self._stream = stream
        self._is_silent = False
        self._has_colors = not stream.closed and stream.isatty()
        # Of the live panel, which draws.
        self.unfiltered = _Output(stream, is_filtered=False) if is_filtered else self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if self.unfiltered is not self:
            text = printable(text, self._stream.encoding or "utf-8", self._has_colors)
        self._attempt(self._stream.write, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, function: Callable[..., Any], *arguments: str) -> None:
        if self._is_silent:
            return
        try:
            function(*arguments)
        except RuntimeError:
            # A signal's handler prints while the same stream is being written to: only its own text is lost.
            pass
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._fall_silent()
            if self is sys.stdout and isinstance(error, OSError) and error.errno not in _WANTS_NO_MORE:
                print(f"warning: Nothing more can be printed, which changes nothing else: {error}", file=sys.stderr)

    def _fall_silent(self) -> None:
        self._is_silent = True
        # What is still in its buffer, and what others write to it, goes nowhere.
        with contextlib.suppress(OSError, ValueError):
            number = self._stream.fileno()
            if number in (1, 2):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)
