# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every kind of training on an accelerator: its numbers, what the host waits for, and how much is launched."""

from __future__ import annotations

import fcntl
import functools
import json
from collections.abc import Callable
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


# Several in one process, which saves imports.
GROUPS = [names[start : start + 4] for names in ([*KINDS], [*OPTIMIZERS]) for start in range(0, len(names), 4)]


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[int], dict[str, Any]]:
    """Return what came of a group, which one of the tests' workers tries for all of them."""
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "emulated"

    @functools.cache
    def tried(group: int) -> dict[str, Any]:
        folder = shared / str(group)
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "output.json"
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not output.exists():
                result = python("-m", "tests.emulated.kinds", folder, *GROUPS[group])
                assert result.returncode == 0, result.stderr
                lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"kind": ')]
                output.write_text(json.dumps({line["kind"]: line | {"said": result.stderr} for line in lines}))
        return json.loads(output.read_text())

    return tried


@needs_a_device_in_python
@pytest.mark.parametrize(("group", "kind"), [(number, kind) for number, kinds in enumerate(GROUPS) for kind in kinds])
def test_a_device_trains_every_kind(group: int, kind: str, reports: Callable[[int], dict[str, Any]]) -> None:
    report = reports(group)[kind]
    assert not report["problems"], "\n".join([*report["problems"].values(), report["said"]])
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
