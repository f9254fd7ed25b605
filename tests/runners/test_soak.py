# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A long training does not grow."""

from __future__ import annotations

from pathlib import Path

from tests.processes import python

PROGRAM = """
import os, sys, torch
torch.set_num_threads(1)
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.console import SilentConsole
from tests.envs import PointEnv, point_config
cfg = point_config(num_learning_epochs=1, num_mini_batches=1)
cfg |= {"num_steps_per_env": 2, "save_interval": 100, "keep_checkpoints": 2, "nonfinite": "recover", "logger": None}
runner = OnPolicyRunner(PointEnv(2), cfg, log_dir=sys.argv[1])
runner.logger.console = SilentConsole()
log = runner.logger.log
def measured(**numbers):
    log(**numbers)
    if numbers["it"] % 10 == 0:
        print("RSS", int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20)
runner.logger.log = measured
runner.learn(1000)
"""


def test_a_thousand_iterations_leave_the_memory_flat(tmp_path: Path) -> None:
    done = python("-c", PROGRAM, tmp_path)
    assert done.returncode == 0, done.stderr
    sizes = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("RSS")]
    assert len(sizes) == 100
    # The first quarter fills caches and histories; then a straight line through the rest.
    settled = sizes[25:]
    times = [index - (len(settled) - 1) / 2 for index in range(len(settled))]
    slope = sum(t * size for t, size in zip(times, settled, strict=True)) / sum(t * t for t in times)
    print(f"{settled[0]:.1f} MiB to {settled[-1]:.1f} MiB, {slope * 100:.3f} MiB per 1,000 iterations")
    assert slope * 100 < 1.0
    assert len(list(tmp_path.glob("model_*.pt"))) == 2
