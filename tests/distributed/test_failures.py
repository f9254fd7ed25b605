# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What becomes of a training when one of its processes dies, fails, is stopped or never comes."""

from __future__ import annotations

import csv
import re
import socket
from pathlib import Path

import pytest
import torch

from rsl_rl.distributed.start import START_TIMEOUT
from rsl_rl.distributed.watch import GRACE
from tests.distributed.launching import run, torchrun

TRAIN = [
    *("-m", "rsl_rl", "train", "tests.distributed.faulty:FaultyEnv", "--num-envs", "8", "--run-dir", "run"),
    *("--runner.num-steps-per-env", "8", "--runner.save-interval", "100", "--runner.logger", "none"),
    *("--runner.actor.hidden-dims", "8", "--runner.critic.hidden-dims", "8", "--iterations", "8"),
    *("--export", "False"),
]


def fault(kind: str) -> list[str]:
    """In the sixth iteration, in the middle of the rollout."""
    return ["--env-options", f"fault={kind}", "at=43"]


def iterations(folder: Path) -> list[int]:
    with (folder / "run" / "metrics.csv").open(newline="") as file:
        return [int(row["iteration"]) for row in csv.DictReader(file)]


def test_a_killed_process_restarts_the_group_from_the_last_whole_iteration(tmp_path: Path) -> None:
    code, output = torchrun(*TRAIN, *fault("kill"), options=("--max-restarts=1",), cwd=tmp_path)
    assert code == 0, output
    assert "from iteration 5 to 8, into run" in output
    assert "Done:" in output
    assert iterations(tmp_path) == list(range(8))
    assert torch.load(tmp_path / "run" / "model_7.pt", weights_only=True)["iter"] == 7


def test_an_error_in_one_process_ends_the_others_and_is_shown_by_all(tmp_path: Path) -> None:
    code, output = torchrun(*TRAIN, *fault("raise"), cwd=tmp_path)
    assert code != 0
    assert "[rank1]: ValueError: the simulator has crashed" in output
    assert "[rank0]: RuntimeError: Another process failed, and this one ends with it: rank 1 on " in output
    assert "[rank0]: ValueError: the simulator has crashed" in output
    assert torch.load(tmp_path / "run" / "model_4.pt", weights_only=True)["iter"] == 4


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_to_one_process_stops_all_after_the_iteration_and_fewer_can_go_on(name: str, tmp_path: Path) -> None:
    code, output = torchrun(*TRAIN, *fault(name), cwd=tmp_path)
    assert code != 0
    # The launcher lists those that have ended when it looks.
    assert set(re.findall(r"exitcode +: (-?\d+) ", output)) == {"143"}
    assert iterations(tmp_path) == list(range(6))
    document = torch.load(tmp_path / "run" / "model_5.pt", weights_only=True)
    assert (document["iter"], len(document["processes"])) == (5, 2)
    if name == "SIGTERM":
        return
    # The next job has only one process.
    code, output = run(*TRAIN, "--resume", "auto", cwd=tmp_path)
    assert code == 0, output
    assert "saved by 2 processes, resumed by 1" in output
    assert "from iteration 6 to 8, into run" in output
    assert iterations(tmp_path) == list(range(8))


def test_a_process_that_never_comes_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.getsockname()[1])}
    there = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "3", **address}
    code, output = run(*TRAIN, cwd=tmp_path, RSL_RL_START_TIMEOUT="1", **there)
    assert code != 0
    assert "Of 3 processes, rank 1, 2 did not start within 1 s; there are 0 on " in output
    code, output = run(*TRAIN, cwd=tmp_path, RSL_RL_START_TIMEOUT="1", **there | {"RANK": "1", "LOCAL_RANK": "1"})
    assert code != 0
    assert "Process 1 of 3 found nobody at 127.0.0.1:" in output
    assert not (tmp_path / "run").exists()


def test_the_times_are_those_of_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text()
    assert f"{GRACE:g} seconds" in page
    assert f"{START_TIMEOUT:g} seconds" in page
