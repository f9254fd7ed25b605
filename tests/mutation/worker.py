# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trains with several copies of the package, one after the other, and writes what each learned.

``python tests/mutation/worker.py FOLDER RANK PORT COPY:MODEL:ENGINE ...``, where FOLDER/COPY/rsl_rl is a package. With
the engine "together" this process is one of two, and takes its share of the environments; those jobs come last.
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
    folder, rank, port, jobs = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    sys.path[:0] = ["", ""]
    found: dict[str, Any] = {}
    copy, training = "", None
    for job in jobs:
        name, model, engine = job.split(":")
        if name != copy:
            copy, training = name, training_with(folder / name)
        assert training is not None
        if engine != "together":
            found[job] = training.trained(model, engine)
            continue
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), **there)
        # Only the parameters of process 0 count.
        found[job] = training.trained(model, "eager", list(range(rank, training.NUM_ENVS, 2)), seed=rank)
    torch.save(found, folder / f"learned.{rank}")


if __name__ == "__main__":
    main()
