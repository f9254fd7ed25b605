# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every kind of training on an accelerator: its numbers, what the host waits for, and how much is launched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils import backend_registration

from rsl_rl.cli.doctor.gpu.kinds import KINDS, OPTIMIZERS
from tests.processes import python

needs_a_device_in_python = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this release of torch cannot have a device in Python",
)
BUDGETS = Path(__file__).with_name("budgets.json")
PINNED = next(
    line.split("==")[1].strip()
    for line in (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    if line.startswith("torch==")
)


@needs_a_device_in_python
@pytest.mark.parametrize("kind", [*KINDS, *OPTIMIZERS])
def test_a_device_trains_every_kind(kind: str, tmp_path: Path) -> None:
    result = python("-m", "tests.emulated.kinds", kind, tmp_path)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert not report["problems"], "\n".join([*report["problems"].values(), result.stderr])
    check_cost(kind, report["cost"])


def check_cost(kind: str, cost: dict[str, Any]) -> None:
    waits = cost.pop("waits")
    if kind != "recover":  # which looks at what was not finite
        assert sum(waits.values()) <= 4, f"in an iteration the host waits for {waits}"
    if torch.__version__.split("+")[0] == PINNED:
        budget = json.loads(BUDGETS.read_text())[kind]
        more = {name: f"{found:g}, not {budget[name]:g}" for name, found in cost.items() if found > budget[name]}
        fewer = {name: found for name, found in cost.items() if found < budget[name]}
        assert not more, f"more operators than before: {more}"
        assert not fewer, f"fewer operators than before: write these numbers into {BUDGETS.name}: {fewer}"
