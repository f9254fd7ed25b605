# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What all tests share: one thread and one seed, so that a test gives the same result anywhere and in any order."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# Also in the processes that tests start: several tests run at once, and threads that wait keep cores busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Runs that tests make are those of a user of their own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="rsl_rl_state_")
if shutil.which("g++"):
    # torch.compile spends most of its time in the compiler of its kernels, which need not be fast here.
    os.environ.setdefault("CXX", str(Path(__file__).parent / "cxx.sh"))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
torch.set_num_threads(1)  # The tensors are small, and sums then have one order.
settings.register_profile("repeatable", deadline=None, derandomize=True)  # No example fails for being slow.
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
