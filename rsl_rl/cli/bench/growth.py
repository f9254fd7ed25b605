# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How the time of an iteration grows with the number of environments, the width of the networks and the horizon."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rsl_rl.cli.bench.bound import learn_flops
from rsl_rl.cli.bench.rounds import Turns, Variant, iterations_per_round
from rsl_rl.cli.table import as_table

AXES = {
    "environments": (64, 128, 256, 512, 1024, 2048, 4096, 8192),
    "width": (64, 128, 256, 512, 1024),
    "horizon": (8, 16, 32, 64, 128),
}
# The large cases need many seconds an iteration, and vary less.
_LARGE_SECONDS, _LARGE_ROUNDS = 2.0, 2


def case_at(case: Mapping[str, Any], axis: str, value: int) -> dict[str, Any]:
    """Return a case with one of its sizes changed; the width is that of the first layer, and scales the others."""
    hidden = case["hidden"]
    changed: dict[str, Any] = {
        "environments": {"num_envs": value},
        "width": {"hidden": [max(1, size * value // hidden[0]) for size in hidden]},
        "horizon": {"num_steps": value},
    }[axis]
    return {**case, "warm_up": 2, **changed}


def relative_costs(seconds: Sequence[float], work: Sequence[float]) -> list[float]:
    """Return the time per unit of work, as a multiple of that of the first size."""
    return [second / amount / (seconds[0] / work[0]) for second, amount in zip(seconds, work, strict=True)]


def measure_curves(case: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Vary each size of a case for itself; return the library's versions as ``this``, and for each axis its points.

    A point has ``value``, ``seconds`` per iteration, ``steps_per_second``, ``flops`` of the update, and ``relative``
    time per unit of that work.
    """
    curves: dict[str, Any] = {"this": {}}
    for axis, values in AXES.items():
        print(f"Measuring {axis} {values[0]} to {values[-1]} ...", file=sys.stderr, flush=True)
        cases = [case_at(case, axis, value) for value in values]
        names = [f"{axis} {value}" for value in values]
        with Turns([Variant(name, sys.executable, at) for name, at in zip(names, cases, strict=True)]) as turns:
            for variant in turns.variants:
                curves["this"] = variant.imported()
            turns.prepare()
            seconds = [statistics.median(found) for found in _seconds(turns, rounds)]
        work = [learn_flops(at) for at in cases]
        curves[axis] = [
            {
                "value": value,
                "seconds": second,
                "steps_per_second": at["num_envs"] * at["num_steps"] / second,
                "flops": amount,
                "relative": relative,
            }
            for value, at, second, amount, relative in zip(
                values, cases, seconds, work, relative_costs(seconds, work), strict=True
            )
        ]
    return curves


def _seconds(turns: Turns, rounds: int) -> list[list[float]]:
    """Return the seconds per iteration of every round, by variant."""
    found: list[list[float]] = [[] for _ in turns.variants]
    for index in range(rounds):
        for variant, seconds in zip(turns.variants, found, strict=True):
            iteration = turns.warm_up[variant.name]["iteration"]
            if iteration < _LARGE_SECONDS or index < _LARGE_ROUNDS:
                seconds.append(variant.play(iterations_per_round([iteration]))["iteration"])
    return found


def curves_as_text(curves: Mapping[str, Any]) -> str:
    """Return a table for every axis."""
    tables = [
        as_table(
            (axis, "iteration ms", "steps/s", "GFLOP", "time per work"),
            [
                (
                    point["value"],
                    f"{1e3 * point['seconds']:.1f}",
                    f"{point['steps_per_second']:,.0f}",
                    f"{point['flops'] / 1e9:.3g}",
                    f"{point['relative']:.2f}",
                )
                for point in points
            ],
        )
        for axis, points in curves.items()
        if axis != "this"
    ]
    legend = (
        "Time per work: of an iteration, per arithmetic operation of its update, as a multiple of the first row's.\n"
        "Above 1 the time grows faster than the work."
    )
    return "\n".join(f"\n{table}" for table in tables) + f"\n\n{legend}"
