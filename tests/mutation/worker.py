# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trains with several copies of the package, one after the other, and writes what each learned.

``python tests/mutation/worker.py FOLDER FILE COPY:MODEL:ENGINE ...``, where FOLDER/COPY/rsl_rl is a package; under
``torchrun`` every process takes its share of the environments. One process for all copies imports torch once.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]


def training_with(package: Path) -> Any:
    """Return ``training.py`` as a module that uses this copy of the package."""
    for name in [name for name in sys.modules if name.split(".")[0] == "rsl_rl" or name == "tests.mutation.training"]:
        del sys.modules[name]
    sys.path[:] = [str(package), str(ROOT), *(path for path in sys.path[2:])]
    training = importlib.import_module("tests.mutation.training")
    assert Path(sys.modules["rsl_rl"].__file__ or "").is_relative_to(package)
    return training


def main() -> None:
    torch.set_num_threads(1)
    folder, file, jobs = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    sys.path[:0] = ["", ""]
    found: dict[str, Any] = {}
    copy, training = "", None
    for job in jobs:
        name, model, engine = job.split(":")
        if name != copy:
            copy, training = name, training_with(folder / name)
        assert training is not None
        share = list(range(rank, training.NUM_ENVS, world_size))
        # Only the parameters of process 0 count.
        found[job] = training.trained(model, engine, share, seed=rank)
    torch.save(found, f"{file}.{rank}")


if __name__ == "__main__":
    main()
