# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Interrupts and terminations of a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rsl_rl.checkpoint import read_checkpoint

SMALL = ["--num-envs", "4", "--threads", "1", "--iterations", "1000000", "--runner.save-interval", "1000000"]
SMALL += ["--runner.num-steps-per-env", "8"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_iteration_and_saves(number: signal.Signals, code: int, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "rsl_rl", "train", "tests.envs:PointEnv", *SMALL, "--run-dir", "run"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        # The output itself says when the third iteration is done.
        if line.startswith("iteration 3/"):
            process.send_signal(number)
            break
    rest = process.stdout.read()
    assert process.wait() == code
    assert "Stopping after this iteration" in rest
    newest = max((tmp_path / "run").glob("model_*.pt"), key=lambda file: int(file.stem.partition("_")[2]))
    document = read_checkpoint(newest)
    assert document["iter"] >= 2
    assert all(torch.isfinite(value).all() for value in document["actor_state_dict"].values())
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == document["iter"] + 2
