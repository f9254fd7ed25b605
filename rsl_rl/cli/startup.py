# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What happens before a command can work: it says what is loading, and Ctrl-C ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupt_ends_at_once() -> Iterator[None]:
    """Within this block Ctrl-C ends the process with exit code 130: nothing has begun that would have to be saved.

    A KeyboardInterrupt would not do: other packages swallow it while they are imported, or turn it into another error.
    """
    # Only the main thread may; a handler of the caller's own stays.
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def load_pytorch() -> None:
    """Import PyTorch and TensorDict, and say so on stderr, since it takes seconds.

    Commands call it after they have looked at their arguments, so that a mistake there is reported at once.
    """
    if "tensordict" in sys.modules:
        return
    if os.environ.get("RANK", "0") == "0":  # one of the processes that torchrun started
        with contextlib.suppress(OSError):
            print("Loading PyTorch ...", file=sys.stderr, flush=True)
    with interrupt_ends_at_once():
        import tensordict  # noqa: F401


def _end(number: int, _: FrameType | None) -> None:
    # Not through sys.stderr, which the interrupted code may be writing to.
    with contextlib.suppress(OSError):
        os.write(2, b"Interrupted.\n")
    os._exit(128 + number)
