# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What many processes send, against the estimate of docs/distributed.md."""

from __future__ import annotations

import json

import pytest

from tests.processes import python


@pytest.mark.parametrize("num_processes", [2, 8, 64])
def test_an_iteration_sends_what_the_estimate_says(num_processes: int) -> None:
    result = python("-m", "tests.emulated.worlds", str(num_processes))
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    # 48 inputs, [512, 256, 128], 12 and 1 outputs with their biases, and 12 standard deviations.
    trunk = 49 * 512 + 513 * 256 + 257 * 128
    assert found["parameters"] == 2 * trunk + 129 * 12 + 129 + 12
    # For each of 5 * 4 mini-batches one call with every gradient, the loss and 5 metrics. The moments of advantages,
    # and of what two models observe, are three rows of doubles each.
    assert found["calls"] == {"all_reduce": 20, "all_gather": 3}
    assert found["bytes"] == {
        "all_reduce": 20 * 4 * (found["parameters"] + 6),
        "all_gather": 3 * 8 * (1 + 48 + 48),
    }
