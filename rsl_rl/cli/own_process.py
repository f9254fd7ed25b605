# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Further processes of this library: they run this very code, whatever is installed or lies in the working folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import rsl_rl

_ROOT = str(Path(rsl_rl.__file__).parents[1])
# Python itself would look into the working folder first, where another rsl_rl may lie.
_RUN = "import sys; sys.path[:] = [sys.argv[1], *filter(None, sys.path)]; import runpy; del sys.argv[:2]; "
_RUN += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def own_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this library."""
    return [sys.executable, "-c", _RUN, _ROOT, module, *arguments]


def own_environment() -> dict[str, str]:
    """Return the environment of a process that is to run this library, alone even where a launcher started this one."""
    kept = {key: value for key, value in os.environ.items() if key not in _LAUNCHER and "TORCHELASTIC" not in key}
    paths = [_ROOT, *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
