# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Real processes, started by torchrun, that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed.equivalence import CASES, NUM_ENVS, trained

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def torchrun(*arguments: str | Path, processes: int = 2, **options: Any) -> subprocess.Popen[str]:
    """Start processes with a launcher of their own, on a free port."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment, **options},
    )


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("equivalence")
    process = torchrun(HERE / "equivalence.py", folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "2 processes, gloo:" in output
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_with_all_environments_learns(
    case: str, two_processes: list[dict[str, Any]]
) -> None:
    alone = trained(case, list(range(NUM_ENVS)))
    together, other = (results[case] for results in two_processes)
    for name, tensor in alone["tensors"].items():
        torch.testing.assert_close(
            together["tensors"][name], tensor, rtol=1e-5, atol=1e-5, msg=lambda m: f"{name}: {m}"
        )
        assert torch.equal(together["tensors"][name], other["tensors"][name]), name
    assert together["learning_rate"] == pytest.approx(alone["learning_rate"], rel=1e-9)
    assert other["learning_rate"] == together["learning_rate"]
    # Process 0 knows the episodes of all.
    assert together["steps"] == alone["steps"]
    torch.testing.assert_close(torch.tensor(together["returns"]), torch.tensor(alone["returns"]))
