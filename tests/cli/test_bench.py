# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring: what is counted and compared, and real processes that take turns."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rsl_rl.cli.bench import rounds as bench_rounds
from rsl_rl.cli.bench.bench_command import BenchArguments, as_text, ratios_of
from rsl_rl.cli.bench.bound import BareProducts, learn_flops, mini_batch_layers
from rsl_rl.cli.bench.growth import AXES, case_at, relative_costs
from rsl_rl.cli.bench.rounds import Turns, iterations_per_round
from rsl_rl.cli.main import main

VERSIONS = {"version": importlib.metadata.version("rsl-rl-lib"), "torch": torch.__version__}
TINY = ["bench", "--num-envs", "4", "--num-steps", "4", "--hidden", "8", "--rounds", "3"]


def case(**changed: Any) -> dict[str, Any]:
    sizes = {"num_envs": 4, "num_steps": 2, "hidden": [3], "rnn": None, "rnn_hidden": 2}
    return {**sizes, "device": "cpu", "mixed_precision": False, **changed}


def test_operations_of_a_feed_forward_update_are_those_of_a_hand_calculation() -> None:
    # 20 mini-batches of 2 samples. Actor 48 -> 3 -> 12, critic 48 -> 3 -> 1: 144 + 36 + 144 + 3 weights, each used
    # for 2 operations forward and 4 backward, but for the 2 of the gradient of what the environment gave.
    assert learn_flops(case()) == 20 * 2 * (6 * 327 - 2 * 288)


@pytest.mark.parametrize(("rnn", "gates"), [("gru", 3), ("lstm", 4)])
def test_operations_of_a_recurrent_update_are_those_of_a_hand_calculation(rnn: str, gates: int) -> None:
    # 20 mini-batches of 1 environment and 2 steps. The input, 48 wide, goes into 2 units with so many gates, whose
    # state comes back; the one before the first step needs no gradient. Then 2 -> 3 -> 12 and 2 -> 3 -> 1.
    of_input = 2 * 4 * 48 * 2 * gates
    of_state = (2 * 6 - 2) * 2 * 2 * gates
    of_head = 2 * 6 * (6 + 36) + 2 * 6 * (6 + 3)
    assert learn_flops(case(rnn=rnn)) == 20 * (2 * (of_input + of_state) + of_head)


def test_operations_are_those_that_torch_counts() -> None:
    samples, hidden = 4 * 6 // 4, [16, 8]
    with FlopCounterMode(display=False) as counter:
        for outputs in (12, 1):
            model = nn.Sequential(nn.Linear(48, 16), nn.ELU(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, outputs))
            model(torch.randn(samples, 48)).sum().backward()
    assert learn_flops(case(num_steps=6, hidden=hidden)) == 20 * counter.get_total_flops()


@pytest.mark.parametrize("rnn", [None, "lstm"])
def test_what_is_timed_bare_is_what_was_counted(rnn: str | None) -> None:
    layers = mini_batch_layers(case(rnn=rnn))
    with FlopCounterMode(display=False) as counter:
        bare = BareProducts(case(rnn=rnn))  # Makes every product once.
    assert counter.get_total_flops() == sum(layer.flops for layer in layers)
    assert 0 < bare.seconds() < 1


def test_a_ratio_is_the_median_of_those_of_neighbouring_rounds() -> None:
    # The machine became slower while it was measured: the ratio of the medians, 8 / 2, says little.
    ours, others = [1.0, 2.0, 8.0], [2.0, 8.0, 8.0]
    rounds = [
        [{"collect": value, "learn": 1.0, "iteration": value, "memory_mb": 2.0} for value in values]
        for values in (others, ours)
    ]
    found = ratios_of(*rounds)
    assert found["collect"] == {"median": 2.0, "lowest": 1.0, "highest": 4.0}
    assert found["learn"]["median"] == found["memory_mb"]["median"] == 1.0


def test_a_round_takes_about_a_second_at_any_size() -> None:
    assert [iterations_per_round(seconds) for seconds in ([0.1, 0.2], [1e-4], [30.0])] == [5, 20, 1]


def test_time_per_work_is_relative_to_the_smallest_size() -> None:
    assert relative_costs([2.0, 3.0, 16.0], [10, 20, 40]) == pytest.approx([1.0, 0.75, 2.0])


def test_each_axis_of_a_curve_changes_one_size() -> None:
    base = case(hidden=[256, 128, 64])
    assert case_at(base, "width", 64)["hidden"] == [64, 32, 16]
    for axis, key in (("environments", "num_envs"), ("width", "hidden"), ("horizon", "num_steps")):
        at = case_at(base, axis, AXES[axis][-1])
        assert {name for name in base if at[name] != base[name]} == {key}


def test_every_variant_begins_as_often_as_the_others() -> None:
    played = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def play(self, iterations: int) -> dict[str, float]:
            played.append(self.name)
            return {"iteration": iterations}

    turns = Turns([Recorder("a"), Recorder("b")])  # type: ignore[list-item] (only what play() needs)
    assert [turns.play(index, 3) for index in range(2)] == [{"a": {"iteration": 3}, "b": {"iteration": 3}}] * 2
    assert played == ["a", "b", "b", "a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--against", "nowhere/bin/python"], "'nowhere/bin/python' cannot be started as a Python interpreter"),
        (["--num-envs", "0"], "must be at least 1"),
        (["--num-envs", "2", "--rnn", "gru"], "4 mini-batches need at least as many environments, got 2"),
        (["--device", "abacus"], "The device 'abacus' cannot be used here"),
        (["--curves", "--against", sys.executable], "leave out --against"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*TINY, *options])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_an_interpreter_without_the_library_is_named_with_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(SystemExit) as exit_:
        main([*TINY, "--against", str(bare)])
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert "No module named 'torch'" in error
    assert f"{bare} -m pip install rsl-rl-lib" in error
    assert "Traceback" not in error


@pytest.fixture
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_rounds, "ROUND_SECONDS", 0.1)


@pytest.mark.usefixtures("short_rounds")
def test_a_run_gives_programs_all_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    main([*TINY, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["this"] == VERSIONS
    assert report["against"] is None
    (result,) = report["results"]
    own = result["this"]
    assert len(own["rounds"]) == 3
    assert own["learn"] == statistics.median(one["learn"] for one in own["rounds"]) > 0
    assert 0 < own["collect"] + own["learn"] < own["iteration"] * 1.5
    assert own["steps_per_second"] == pytest.approx(16 / own["iteration"])
    # Importing torch takes more than such a training.
    assert 0 < own["memory_mb"] < own["peak_mb"] - 50
    assert result["flops"] == 20 * 4 * (6 * (2 * 48 * 8 + 8 * 12 + 8) - 2 * (2 * 48 * 8))
    assert 0 < result["bound_share"] < 1


@pytest.mark.usefixtures("short_rounds")
def test_two_interpreters_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    main([*TINY, "--against", sys.executable, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["against"] == report["this"] == VERSIONS
    (result,) = report["results"]
    rounds = zip(result["against"]["rounds"], result["this"]["rounds"], strict=True)
    learn = sorted(other["learn"] / own["learn"] for other, own in rounds)
    assert result["ratios"]["learn"] == {"lowest": learn[0], "median": learn[1], "highest": learn[2]}
    # Two processes of the same library need the same, but for what the allocator does.
    assert result["ratios"]["memory_mb"]["median"] == pytest.approx(1.0, abs=0.2)
    text = as_text(report, BenchArguments(num_envs=(4,), num_steps=4, hidden=(8,), against=sys.executable))
    assert f"{learn[1]:.2f} ({learn[0]:.2f}-{learn[2]:.2f})" in text
    assert f"Against rsl_rl {VERSIONS['version']}" in text


def test_the_profile_finds_every_phase(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "profile_iteration.py"
    spec = importlib.util.spec_from_file_location("profile_iteration", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    backward = torch.Tensor.backward
    script.main(["--num-envs", "4", "--num-steps", "4", "--hidden", "8", "--iterations", "2"])
    assert torch.Tensor.backward is backward
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in capsys.readouterr().out.splitlines()]
    calls = {row[0]: int(row[3]) for row in cells if len(row) == 5 and row[3].isdigit()}
    operators = {row[0]: int(row[4]) for row in cells if len(row) == 5 and row[4].isdigit()}
    # 4 environment steps; 20 mini-batches, with one more look whether there is another.
    assert calls["acting"] == calls["environment"] == calls["storing"] == calls["logging steps"] == 4
    assert calls["forward and loss"] == calls["backward"] == calls["optimizer"] == calls["gathering"] - 1 == 20
    assert all(operators[phase] > 0 for phase in (*script.PER_STEP, *script.PER_MINI_BATCH))
