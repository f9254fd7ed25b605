# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Shapes, placement and memory at the sizes of a GPU, without numbers."""

from __future__ import annotations

import json

import pytest

from tests.emulated.test_kinds import needs_a_device_in_python
from tests.processes import python


@needs_a_device_in_python
def test_thousands_of_environments_fit_and_nobody_reads_a_number() -> None:
    result = python("-m", "tests.emulated.sizes")
    assert result.returncode == 0, result.stderr
    found = {line.pop("case"): line for line in map(json.loads, result.stdout.splitlines())}
    # A sample: 48 observations, 12 actions, and 5 numbers of 4 bytes; 2 bytes more.
    assert found["4096"]["buffers"] == 24 * 4096 * (4 * (48 + 12 + 5) + 2)
    assert found["4096 with images"]["buffers"] == found["4096"]["buffers"] + 24 * 4096 * 3 * 64 * 64
    # Nothing but the networks does not grow with the environments.
    assert found["32768"]["learning"] == pytest.approx(8 * found["4096"]["learning"], rel=0.03)
    # What a mini-batch keeps for its gradients: three hidden layers of two models.
    activations = 24 * 4096 // 4 * 4 * 2 * (512 + 256 + 128)
    assert activations < found["4096"]["learning"] < 2 * activations
    for sizes in found.values():
        assert sizes["collecting"] <= sizes["learning"]
        assert sizes["returns"] <= sizes["learning"]
