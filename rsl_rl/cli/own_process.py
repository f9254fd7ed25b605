# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Further processes of this library: they run this very code, whatever else is installed."""

from __future__ import annotations

import os
from pathlib import Path

import rsl_rl

_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def own_environment() -> dict[str, str]:
    """Return the environment of a process that is to run this library, alone even where a launcher started this one."""
    kept = {key: value for key, value in os.environ.items() if key not in _LAUNCHER and "TORCHELASTIC" not in key}
    paths = [str(Path(rsl_rl.__file__).parents[1]), *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
