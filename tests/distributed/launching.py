# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Starting real processes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.processes import python

ROOT = Path(__file__).parents[2]


def torchrun(*arguments: str | Path, options: tuple[str, ...] = (), cwd: Path | None = None) -> tuple[int, str]:
    """Run two processes with a launcher of their own; return its exit code and what all of them printed.

    Each prints into files of its own: in one, their lines would run into each other.
    """
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--redirects=3"]
        code, output = run(*launcher, f"--log-dir={folder}", *options, *arguments, cwd=cwd)
        return code, "\n".join([output, *(file.read_text() for file in sorted(Path(folder).rglob("*.log")))])


def run(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> tuple[int, str]:
    """Run Python with environment variables; return its exit code and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}
    done = python(*arguments, cwd=cwd, env=environment)
    return done.returncode, done.stdout + done.stderr
