# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl doctor --gpu``, on the emulated accelerator and where there is nothing to try."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import torch

from rsl_rl.cli.doctor.gpu import checks
from rsl_rl.cli.doctor.gpu.checks import Device
from rsl_rl.cli.doctor.gpu.report import FILE
from rsl_rl.cli.main import main
from tests.emulated.test_kinds import needs_a_device_in_python
from tests.learning.graphs import Graphs
from tests.processes import python


@needs_a_device_in_python
def test_every_step_is_rehearsed(tmp_path: Path) -> None:
    result = python("-m", "tests.emulated.doctor", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / FILE).read_text())
    assert {check["status"] for check in report["checks"]} == {"ok"}
    assert {"waits, gru", "CUDA graphs", "checkpoints", "memory", "2 processes"} <= {
        c["name"] for c in report["checks"]
    }
    assert list(report["speed"]) == ["eager", "graph"]
    assert all(float(row["learn ms"]) > 0 for row in report["speed"].values())
    assert "11 of 11 checks passed." in result.stdout
    assert "| eager " in result.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_says_what_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--gpu"])
    assert ended.value.code
    said = "".join(capsys.readouterr())
    assert said.startswith("error: This needs an NVIDIA GPU and its driver; torch ")
    assert said.count("\n") == 1


def waiting() -> AbstractContextManager[None]:
    raise RuntimeError("the host waits")


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Graphs(lambda row: row.add_(1.0))
    device = Device("cpu", waiting, wrong, num_envs=4, hidden=(8,), kinds=("gaussian",))
    monkeypatch.setattr(checks, "_TOLERANCE", -1.0)
    monkeypatch.setattr(checks, "processes", lambda number, device: "left out")
    found = {check.name: check for check in checks.checks(device)}
    failed = [name for name, check in found.items() if check.status == "failed"]
    assert failed == ["gaussian", "waits, gaussian", "CUDA graphs"]
    assert "actions differ from those of the CPU by" in found["gaussian"].text
    assert "the host waits" in found["waits, gaussian"].text
    assert "The replay gives other numbers" in found["CUDA graphs"].text


def test_more_processes_than_gpus_are_left_out() -> None:
    device = Device("cpu", nullcontext, Graphs(), num_devices=0)
    assert checks._tried("2 processes", lambda: checks.processes(2, device)).status == "missing"
