# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The step that is captured on a GPU, with a capture that runs the function again where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_fast_path import CASES, assert_same
from tests.envs import PointEnv, point_config

Replay = Callable[[], Any]


class Recorder:
    """Captures like a graph does: without running, and with a result that stays where it is."""

    def __init__(self, change: Callable[[torch.Tensor], Any] = lambda result: None) -> None:
        self.captures = self.replays = 0
        self.change = change

    def __call__(self, function: Callable[[], torch.Tensor]) -> tuple[Replay, torch.Tensor]:
        self.captures += 1
        result = torch.zeros(0)

        def replay() -> None:
            self.replays += 1
            found = function()
            self.change(found)
            result.resize_(found.shape).copy_(found)

        return replay, result


def trained(capture: Any = None, iterations: int = 4, **algorithm: Any) -> tuple[dict[str, torch.Tensor], Any]:
    torch.manual_seed(0)
    runner = OnPolicyRunner(PointEnv(8), point_config(num_learning_epochs=3, **algorithm))
    if capture is not None:
        runner.alg.capture_steps(capture)
    runner.learn(iterations)
    state = {
        f"{index}.{key}": value.clone()
        for index, model in enumerate(runner.alg._models())
        for key, value in model.state_dict().items()
    }
    return state | {"learning rate": torch.tensor(runner.alg.learning_rate)}, runner.alg


@pytest.mark.parametrize("name", ["mlp", "advantage per mini-batch", "unclipped value", "warm-up of the critic"])
def test_replayed_steps_learn_the_same(name: str) -> None:
    algorithm = CASES[name][2]
    recorder = Recorder()
    found, alg = trained(recorder, **algorithm)
    expected, other = trained(**algorithm)
    assert_same(found, expected)
    assert alg.diagnostics == pytest.approx(other.diagnostics, rel=1e-4)
    # 24 mini-batches of one shape: 3 eager, one both ways, the others replayed; in the warm-up the step is another.
    assert recorder.captures == (2 if name.startswith("warm-up") else 1)
    assert recorder.replays == 24 - 3 * recorder.captures


def test_other_options_are_captured_anew() -> None:
    torch.manual_seed(0)
    recorder = Recorder()
    runner = OnPolicyRunner(PointEnv(8), point_config(num_learning_epochs=3))
    runner.alg.capture_steps(recorder)
    runner.learn(1)
    runner.alg.clip_param = 0.1
    runner.learn(1)
    assert recorder.captures == 2


def test_a_state_that_was_loaded_is_captured_anew() -> None:
    torch.manual_seed(0)
    recorder = Recorder()
    runner = OnPolicyRunner(PointEnv(8), point_config(num_learning_epochs=3))
    runner.alg.capture_steps(recorder)
    runner.learn(2)
    assert recorder.captures == 1
    # The optimizer allocates its loaded state elsewhere; a graph would write to where it was.
    runner.alg.load(runner.alg.save())
    runner.learn(1)
    assert recorder.captures == 2


def wrong(result: torch.Tensor) -> None:
    result[1] += 1.0


def refuse(function: Callable[[], torch.Tensor]) -> tuple[Replay, torch.Tensor]:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize(("capture", "text"), [(refuse, "not permitted"), (Recorder(wrong), "other numbers")])
def test_what_cannot_be_captured_stays_eager(capture: Any, text: str) -> None:
    with pytest.warns(UserWarning, match=f"stays eager.*{text}"):
        found, _ = trained(capture)
    assert_same(found, trained()[0])
