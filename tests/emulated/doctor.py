# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Rehearses ``rsl-rl doctor --gpu`` on the emulated accelerator: ``python -m tests.emulated.doctor FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from rsl_rl.cli.doctor.doctor_command import say_check
from rsl_rl.cli.doctor.gpu.checks import Device
from rsl_rl.cli.doctor.gpu.report import FILE, examine
from tests.emulated import accelerator
from tests.learning.graphs import Graphs


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    device = Device(
        name=accelerator.NAME,
        without_waits=lambda: accelerator.without_waits("in a step or a mini-batch"),
        graph=Graphs(),
        num_devices=2,
        numbers_of_processes=(2,),
        kinds=("gaussian", "gru", "distillation", "sgd"),
        num_envs=8,
        hidden=(16,),
    )
    options: dict[str, Any] = {"bench_device": "cpu", "rounds": 1, "engines": ("eager", "graph")}
    sys.exit(0 if examine(device, None, say_check, folder / FILE, **options) else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
