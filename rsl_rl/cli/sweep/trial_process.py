# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One training of a sweep, in a process of its own. Its arguments: ``CORES COMMAND ...``.

The rest is a command line of ``rsl-rl``. When the sweep is gone, which its end of standard input shows, the training
ends as after SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def _end_with_the_sweep() -> None:
    # Not sys.stdin: a thread that waits within it cannot be left behind when Python ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    cores, *command = sys.argv[1:]
    # First: what is imported looks at the cores it may use.
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()

    from rsl_rl.cli.main import main

    main(command)
