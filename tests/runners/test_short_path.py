# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A reader reaches the gradient within few calls, and an iteration is not much to read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def iteration_path() -> Any:
    spec = importlib.util.spec_from_file_location("iteration_path", ROOT / "scripts" / "iteration_path.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(iteration_path: Any) -> Any:
    return iteration_path.measured()


def test_three_calls_lie_between_learn_and_backward(path: Any) -> None:
    names = [each.name for each in path.to_backward]
    assert names[0] == "PPO.update"
    assert len(names) <= 3, " > ".join(names)


def test_an_iteration_is_little_to_read(path: Any) -> None:
    names = [each.name for each in path.functions]
    # It is the path of the default: acting, the time-outs, the loss are on it.
    assert names[0] == "OnPolicyRunner.learn"
    assert {"PPO.act", "PPO.process_env_step", "PPO.value_at_time_outs", "PPO.compute_returns", "PPO.loss"} < set(names)
    assert len(names) <= 70
    assert len({each.file for each in path.functions}) <= 18
    assert sum(each.num_lines for each in path.functions) <= 900


def test_the_architecture_page_has_the_path_as_it_is(iteration_path: Any) -> None:
    page = iteration_path.PAGE.read_text()
    assert page.count("<!-- iteration -->") == 1
    assert "| `algorithms/ppo.py` | `PPO.loss` |" in page
    assert iteration_path.filled(page) == page, "write it anew with: python scripts/iteration_path.py --write"
