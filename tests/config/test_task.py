# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks as files."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rsl_rl.config.task import judged_options, load_task, read_task, write_task


def test_a_task_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"day": datetime.date(2026, 1, 2), "joints": {"hip", "knee"}, "key": b"\x00", "no": None}
    task = dataclasses.replace(load_task("gym:Ant-v5"), env_options=options)
    write_task(task, tmp_path / "task.yaml")
    assert read_task(tmp_path / "task.yaml") == task
    for foreign in (object(), np.zeros(2)):
        with pytest.raises(yaml.YAMLError, match="cannot represent an object"):
            write_task(dataclasses.replace(task, env_options={"x": foreign}), tmp_path / "foreign.yaml")
    assert not (tmp_path / "foreign.yaml").exists()


def test_the_robust_go1_learns_as_the_other_one_and_is_judged_like_it() -> None:
    walk, robust = load_task("go1-walk"), load_task("go1-walk-robust")
    assert robust.runner == walk.runner
    judged, of_walk = judged_options(robust), judged_options(walk)
    varied = {
        "friction": [1.0, 1.0],
        "mass": [1.0, 1.0],
        "gains": [1.0, 1.0],
        "delay": [0.0, 0.0],
        "events": {"push": 0.0},
    }
    assert judged == of_walk | varied
