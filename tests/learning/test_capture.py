# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The step that is captured on a GPU, with graphs that record and replay the operations of a processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from rsl_rl.runners import OnPolicyRunner
from tests.algorithms.test_combinations import build, distillation_config, rollout
from tests.envs import PointEnv
from tests.learning.graphs import Clock, Graphs
from tests.learning.test_engines import (
    FADING,
    assert_same,
    change_the_loss,
    freeze,
    hook,
    learned_by,
    runner_of,
    trained,
)


def captured(graphs: Graphs) -> Callable[[OnPolicyRunner], None]:
    return lambda runner: runner.alg.gradient_step.capture(graphs)


def nothing(runner: OnPolicyRunner) -> None:
    pass


@pytest.mark.parametrize(
    "name", ["mlp", "beta", "advantage per mini-batch", "unclipped value", "warm-up of the critic", "rnd"]
)
def test_replayed_steps_learn_the_same(name: str) -> None:
    graphs, runners = Graphs(), [runner_of(name), runner_of(name)]
    runners[0].alg.gradient_step.capture(graphs)
    for runner in runners:
        torch.manual_seed(0)
        runner.learn(5)
    assert_same(*map(learned_by, runners))
    assert runners[0].alg.metrics == pytest.approx(runners[1].alg.metrics, rel=1e-4)
    # 20 mini-batches of one shape: 2 eager, all others replayed; in the warm-up the step is another.
    assert graphs.captures == (2 if name.startswith("warm-up") else 1)
    assert graphs.replays == 20 - 2 * graphs.captures


def test_other_coefficients_are_learned_from_without_being_captured_again() -> None:
    graphs = Graphs()
    assert_same(trained("mlp", captured(graphs), *FADING, steps=0), trained("mlp", nothing, *FADING, steps=0))
    assert graphs.captures == 1


def other_loss(runner: OnPolicyRunner) -> None:
    runner.alg.use_clipped_value_loss = False


def no_clipping(runner: OnPolicyRunner) -> None:
    runner.alg.max_grad_norm = None


def load_own_state(runner: OnPolicyRunner) -> None:
    # The optimizer allocates its loaded state elsewhere; a graph would write to where it was.
    runner.alg.load(runner.alg.save())


@pytest.mark.parametrize("change", [other_loss, no_clipping, load_own_state, freeze, hook, change_the_loss])
def test_what_a_graph_holds_is_captured_anew_when_it_has_changed(change: Callable[[OnPolicyRunner], None]) -> None:
    graphs = Graphs()
    assert_same(
        trained("mlp", captured(graphs), nothing, change, steps=0), trained("mlp", nothing, nothing, change, steps=0)
    )
    assert graphs.captures == 2


def test_chunks_of_every_length_are_captured() -> None:
    graphs, states = Graphs(), []
    for is_captured in (True, False):
        env = PointEnv()
        alg = build(env, distillation_config("mlp"))
        if is_captured:
            alg.gradient_step.capture(graphs)
        for _ in range(5):
            rollout(alg, env)
            alg.update()
        states.append(alg.student.state_dict())
    assert_same(*states)
    assert (graphs.captures, graphs.replays) == (2, 11)  # Each of 3 + 3 + 2 steps; all but 2 mini-batches of a length.


def wait(runner: OnPolicyRunner) -> None:
    loss = runner.alg.loss

    def looked_at(batch: Any) -> Any:
        total, metrics = loss(batch)
        return (total, metrics) if float(total.detach()) > -1e9 else (0.0 * total, metrics)

    runner.alg.loss = looked_at


def spoil(row: torch.Tensor) -> None:
    row[1] += 1.0


@pytest.mark.parametrize(
    ("graphs", "change", "text"), [(Graphs(), wait, "not permitted"), (Graphs(spoil), nothing, "other numbers")]
)
def test_what_cannot_be_captured_stays_eager(graphs: Graphs, change: Any, text: str) -> None:
    def both(runner: OnPolicyRunner) -> None:
        change(runner)
        captured(graphs)(runner)

    with pytest.warns(UserWarning, match=f"stays eager.*{text}") as said:
        found = trained("mlp", both, nothing, steps=0)
    assert sum("stays eager" in str(warning.message) for warning in said) == 1
    assert_same(found, trained("mlp", nothing, nothing, steps=0))


@pytest.mark.parametrize(("seconds_of_replay", "is_kept"), [(0.5, True), (2.0, False)])
def test_the_faster_way_is_kept_and_said(
    seconds_of_replay: float, is_kept: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs, runners = Graphs(), [runner_of("mlp"), runner_of("mlp")]
    clock = Clock(graphs, seconds_of_replay)
    runners[0].alg.gradient_step.capture(graphs, clock)
    for runner in runners:
        torch.manual_seed(0)
        runner.learn(8)
    assert_same(*map(learned_by, runners))
    # 32 mini-batches: 2 eager, 1 captured and replayed once, 8 of each kind in turns, and 13 in the way that was kept.
    assert graphs.captures == 1
    assert graphs.replays == 1 + 8 + (13 if is_kept else 0)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("The mini-batch step")]
    way = "is replayed as a CUDA graph" if is_kept else "stays eager"
    assert said == [f"The mini-batch step {way}: {1e3 * seconds_of_replay:.2f} ms as a graph, 1000.00 ms without."]
