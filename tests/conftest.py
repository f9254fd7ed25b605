# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What all tests share: one thread and one seed, so that a test gives the same result anywhere and in any order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # The tensors are small, and sums then have one order.
settings.register_profile("repeatable", deadline=None, derandomize=True)  # No example fails for being slow.
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
