# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Real processes, started by torchrun, that train together."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed.equivalence import CASES, NUM_ENVS, trained
from tests.distributed.launching import torchrun

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("equivalence")
    code, output = torchrun(HERE / "equivalence.py", folder)
    assert code == 0, output
    assert "2 processes, gloo:" in output
    return [torch.load(folder / f"rank_{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_with_all_environments_learns(
    case: str, two_processes: list[dict[str, Any]]
) -> None:
    alone = trained(case, list(range(NUM_ENVS)))
    together, other = (results[case] for results in two_processes)
    for name, tensor in alone["tensors"].items():
        torch.testing.assert_close(together["tensors"][name], tensor, rtol=1e-5, atol=1e-5)
        assert torch.equal(together["tensors"][name], other["tensors"][name]), name
    assert together["learning_rate"] == pytest.approx(alone["learning_rate"], rel=1e-9)
    assert other["learning_rate"] == together["learning_rate"]
    # Process 0 knows the episodes of all.
    assert together["steps"] == alone["steps"]
    torch.testing.assert_close(torch.tensor(together["returns"]), torch.tensor(alone["returns"]))


def test_processes_that_a_client_has_connected_stay_equal_and_are_made_so_again(tmp_path: Path) -> None:
    code, output = torchrun(HERE / "agreeing.py", tmp_path)
    assert code == 0, output
    ranks = {"global_rank": 0, "local_rank": 0, "world_size": 2}
    assert f"RESULT 2 {ranks} True True True" in output
    assert "The parameters of the processes [1] are not those of process 0 any more" in output
    # Only one of them writes.
    assert f"rank 0: writers None, log_dir {tmp_path}" in output
    assert "rank 1: writers None, log_dir None" in output
    assert (tmp_path / "model_7.pt").is_file()
    # They need not log the same: 1.0 of one process and three times 5.0 of the other, in every step.
    row = next(csv.DictReader((tmp_path / "metrics.csv").open(newline="")))
    found = {tag: row[tag] for tag in row if tag.startswith(("Episode/", "only/")) and row[tag]}
    expected = {"both": "4.0", "sometimes": "4.0", "0": "1.0", "1": "inf"}
    assert found == {f"Episode/{name}": value for name, value in expected.items()} | {"only/here": "3.0"}
    # A checkpoint that only one of them has loaded counts for both.
    assert "rank 0: last iteration 11" in output
    assert "rank 1: last iteration 11" in output
    assert "RANDOM True" in output
    # Once it has learned, a process may end as it likes.
    assert "FINISHED" in output
