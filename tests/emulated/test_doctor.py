# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl doctor --gpu``, on the emulated accelerator and where there is nothing to try."""

from __future__ import annotations

import json
import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.cli.doctor.gpu import checks, report
from rsl_rl.cli.doctor.gpu.checks import Device
from rsl_rl.cli.doctor.gpu.report import FILE
from rsl_rl.cli.doctor.system import Check
from rsl_rl.cli.main import UserError, main
from tests.emulated.test_kinds import needs_a_device_in_python
from tests.learning.graphs import Graphs
from tests.processes import python


@needs_a_device_in_python
def test_every_step_is_rehearsed(tmp_path: Path) -> None:
    result = python("-m", "tests.emulated.doctor", tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads((tmp_path / FILE).read_text())
    assert {check["status"] for check in document["checks"]} == {"ok"}
    assert {"waits, gru", "CUDA graphs", "checkpoints", "memory", "2 processes"} <= {
        c["name"] for c in document["checks"]
    }
    assert list(document["speed"]) == ["eager", "graph"]
    assert all(float(row["learn ms"]) > 0 for row in document["speed"].values())
    assert "12 of 12 checks passed." in result.stdout
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
    assert failed == ["gaussian", "waits, gaussian", "waits, environment on the host", "CUDA graphs"]
    assert "actions differ from those of the CPU by" in found["gaussian"].text
    assert "the host waits" in found["waits, gaussian"].text
    assert "The replay gives other numbers" in found["CUDA graphs"].text


def test_a_gradient_that_is_no_number_is_no_small_error() -> None:
    zeros, ones = torch.zeros(2), torch.ones(2)
    assert math.isnan(checks._error([zeros, torch.full((2,), torch.nan)], [zeros, ones]))
    assert checks._error([zeros, ones], [zeros, 2 * ones]) == 0.5


def test_the_checks_are_kept_when_an_engine_dies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dying(*_: Any) -> Any:
        raise UserError("eager cannot be measured: killed")

    monkeypatch.setattr(report.Turns, "play", dying)
    monkeypatch.setattr(report, "checks", lambda device: [Check("gaussian", "ok")])
    device = Device("cpu", num_envs=4, hidden=(8,))
    assert report.examine(device, None, lambda check: None, tmp_path / FILE, rounds=1, engines=("eager",))
    document = json.loads((tmp_path / FILE).read_text())
    assert [check["name"] for check in document["checks"]] == ["gaussian"]
    assert "killed" in str(document["speed"])


def test_more_processes_than_gpus_are_left_out() -> None:
    device = Device("cpu", nullcontext, Graphs(), num_devices=0)
    assert checks._tried("2 processes", lambda: checks.processes(2, device)).status == "missing"
