# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A process that is killed while it saves leaves the last whole checkpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.processes import python

HERE = Path(__file__).parent
ROUNDS = 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_200_kills_at_random_moments_leave_whole_checkpoints(tmp_path: Path) -> None:
    done = python(HERE / "saving_forever.py", tmp_path, str(ROUNDS), "0")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    print(result)
    assert result["rounds"] == ROUNDS
    # The kills came at moments of all kinds: before a checkpoint was complete and after, and while one was written.
    assert ROUNDS // 10 < result["with_progress"] < ROUNDS
    assert result["with_partial"] > ROUNDS // 20
    assert len(result["sizes"]) > 1
    # After one more checkpoint nothing tells of the kills.
    newest = result["newest"]
    assert result["files"] == sorted(["best.pt", "latest.pt", *(f"model_{newest - age}.pt" for age in range(3))])
