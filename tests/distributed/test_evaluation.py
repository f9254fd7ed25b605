# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Of several processes one evaluates, and all of them agree on what is saved."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.distributed.launching import torchrun
from tests.runners.test_resume import differences
from tests.telemetry.test_logger import rows


def test_the_first_process_evaluates_and_the_training_is_the_same(tmp_path: Path) -> None:
    code, output = torchrun(Path(__file__).parent / "evaluating.py", tmp_path)
    assert code == 0, output
    for name in ("without", "with"):
        fingerprints = {line.split()[3] for line in output.splitlines() if line.startswith(f"FINISHED {name}")}
        assert len(fingerprints) == 1, output
    assert "EVALUATES 0" in output
    assert "EVALUATES 1" not in output
    one, other = (torch.load(tmp_path / run / "model_5.pt", weights_only=True) for run in ("without", "with"))
    assert all(line.startswith((".best_reward", ".best_by")) for line in differences(one, other))
    table = rows(tmp_path / "with")
    assert [bool(row["Eval/mean_return"]) for row in table] == [True, False, True, False, True, True]
    # The best of them was saved at once, with the state of both processes.
    returns = [float(row["Eval/mean_return"] or "-inf") for row in table]
    best = torch.load(tmp_path / "with" / "best.pt", weights_only=True)
    assert best["iter"] == returns.index(max(returns))
    assert len(best["processes"]) == 2
    assert (tmp_path / "with" / f"model_{best['iter']}.pt").is_file()
