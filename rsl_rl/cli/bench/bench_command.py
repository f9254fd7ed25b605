# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl bench``."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rsl_rl.cli.bench.rounds import Round, Turns, Variant, iterations_per_round
from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.cli.table import as_table
from rsl_rl.cli.train import check_device
from rsl_rl.utils.ranges import Count, Threads

THIS, AGAINST = "this library", "the library of --against"
COMPARED = ("collect", "learn", "iteration", "memory_mb")


@dataclass(frozen=True)
class BenchArguments:
    """Measure how fast this library trains, without a simulator: the environment gives numbers drawn beforehand."""

    num_envs: tuple[Count, ...] = (64, 512)
    """Numbers of environments, each measured separately; --curves varies the others around the first."""
    hidden: tuple[Count, ...] = (256, 128, 64)
    """Widths of the hidden layers, of the actor as of the critic."""
    rnn: Literal["lstm", "gru"] | None = None
    """A recurrent layer before them."""
    rnn_hidden: Count = 256
    """Size of its state."""
    num_steps: Count = 24
    """Steps per environment and iteration."""
    compile: Literal["default", "max-autotune-no-cudagraphs"] | None = None
    """Compile the update with this mode."""
    mixed_precision: bool = False
    """Update in bfloat16."""
    device: str = "cpu"
    """Where to train: cpu, cuda, cuda:1 ..."""
    threads: Threads = 1
    """CPU threads; 0 for torch's own choice."""
    rounds: Count = 5
    """Rounds of about a second, of which the median counts."""
    against: str | None = None
    """Another interpreter, in whose environment a release of rsl-rl-lib is installed: measure that one in turns."""
    against_plain: bool = False
    """Run that one without --compile and --mixed-precision, as it does by default."""
    curves: bool = False
    """Measure how the time grows with environments, width and horizon instead."""
    json: bool = False
    """Print the result as JSON, in seconds and bytes/2**20."""


def run(arguments: list[str]) -> None:
    """Measure, and say what came out."""
    chosen = parsed(BenchArguments, arguments, prog="rsl-rl bench")
    load_pytorch()
    import torch

    from rsl_rl.cli.bench.growth import curves_as_text, measure_curves

    with user_errors():
        _check(chosen)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    if chosen.curves:
        curves = measure_curves(case_of(chosen, chosen.num_envs[0]), chosen.rounds)
        print(json.dumps(curves) if chosen.json else _heading(curves["this"], chosen) + curves_as_text(curves))
        return
    report = measure(chosen)
    print(json.dumps(report) if chosen.json else as_text(report, chosen))


def case_of(chosen: BenchArguments, num_envs: int) -> dict[str, Any]:
    """Return what ``timed_training.py`` is to train."""
    names = ("hidden", "rnn", "rnn_hidden", "num_steps", "compile", "mixed_precision", "device", "threads")
    return {"num_envs": num_envs, **{name: getattr(chosen, name) for name in names}}


def measure(chosen: BenchArguments) -> dict[str, Any]:
    """Return versions as ``this`` and ``against`` (None without), and ``results`` for each number of environments."""
    report: dict[str, Any] = {"this": {}, "against": None, "rounds": chosen.rounds, "results": []}
    for num_envs in chosen.num_envs:
        case = case_of(chosen, num_envs)
        print(f"Measuring {num_envs} environments ...", file=sys.stderr, flush=True)
        variants = [Variant(THIS, sys.executable, case)]
        if chosen.against is not None:
            plain = {"compile": None, "mixed_precision": False} if chosen.against_plain else {}
            variants.append(Variant(AGAINST, chosen.against, case | plain))
        with Turns(variants) as turns:
            # The interpreter that was given is the one that may be wrong: it is asked first.
            if chosen.against is not None:
                try:
                    report["against"] = variants[1].imported()
                except UserError as error:
                    hint = f"Is rsl-rl-lib installed there? {chosen.against} -m pip install rsl-rl-lib"
                    raise UserError(f"{error}\n{hint}") from error
            report["this"] = variants[0].imported()
            turns.prepare()
            report["results"].append({"num_envs": num_envs, **_measure_case(turns, case, chosen.rounds)})
    return report


def _measure_case(turns: Turns, case: dict[str, Any], num_rounds: int) -> dict[str, Any]:
    from rsl_rl.cli.bench.bound import BareProducts, learn_flops

    bare = BareProducts(case)
    iterations = iterations_per_round(numbers["iteration"] for numbers in turns.warm_up.values())
    rounds: list[dict[str, Round]] = []
    bounds = []
    for index in range(num_rounds):
        rounds.append(turns.play(index, iterations))
        bounds.append(bare.seconds())
    ours = [both[THIS] for both in rounds]
    flops = learn_flops(case)
    result: dict[str, Any] = {
        "flops": flops,
        "gemm_flops_per_second": flops / statistics.median(bounds),
        "bound_share": statistics.median(bound / own["learn"] for bound, own in zip(bounds, ours, strict=True)),
        "this": _summary(ours, case, turns.warm_up[THIS]),
    }
    if AGAINST in turns.warm_up:
        others = [both[AGAINST] for both in rounds]
        result["against"] = _summary(others, case, turns.warm_up[AGAINST])
        result["ratios"] = ratios_of(others, ours)
    return result


def ratios_of(others: Sequence[Round], ours: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Return how many times as much the others took in each of their rounds as we in the one played beside it.

    For each of :data:`COMPARED` these are the ``median`` of the ratios, the ``lowest`` and the ``highest``.
    """
    found = {}
    for name in COMPARED:
        ratios = [other[name] / own[name] for other, own in zip(others, ours, strict=True)]
        found[name] = {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    return found


def _summary(rounds: Sequence[Round], case: dict[str, Any], warm_up: dict[str, float]) -> dict[str, Any]:
    medians = {name: statistics.median(one[name] for one in rounds) for name in (*COMPARED, "peak_mb")}
    return {
        **medians,
        "steps_per_second": case["num_envs"] * case["num_steps"] / medians["iteration"],
        "warm_up": warm_up["warm_up"],
        "rounds": list(rounds),
    }


def _check(chosen: BenchArguments) -> None:
    from rsl_rl.cli.bench.timed_training import NUM_MINI_BATCHES

    if not chosen.num_envs or not chosen.hidden:
        raise ValueError("--num-envs and --hidden need at least one number.")
    smallest = min(chosen.num_envs) * (1 if chosen.rnn else chosen.num_steps)
    if smallest < NUM_MINI_BATCHES:
        what = "environments" if chosen.rnn else "environments * steps"
        raise ValueError(f"{NUM_MINI_BATCHES} mini-batches need at least as many {what}, got {smallest}.")
    if chosen.against is not None:
        if chosen.curves:
            raise ValueError("--curves measures this library alone; leave out --against.")
        if shutil.which(chosen.against) is None:
            raise FileNotFoundError(
                f"'{chosen.against}' cannot be started as a Python interpreter. --against takes the python of an "
                "environment in which rsl-rl-lib is installed; in a virtual environment that is its bin/python."
            )
    check_device(chosen.device)


def as_text(report: dict[str, Any], chosen: BenchArguments) -> str:
    """Return what :func:`measure` found as tables."""
    results, other = report["results"], report["against"]
    own = _table(_row(result, "this") for result in results)
    text = f"{_heading(report['this'], chosen)}\n{own}\n\n{_LEGEND}"
    if other is None:
        return text
    others = _table(_row(result, "against") for result in results)
    ratios = _table(
        {
            "environments": result["num_envs"],
            **{
                name.partition("_")[0]: f"{ratio['median']:.2f} ({ratio['lowest']:.2f}-{ratio['highest']:.2f})"
                for name, ratio in result["ratios"].items()
            },
        }
        for result in results
    )
    return (
        f"{text}\n\nAgainst rsl_rl {other['version']} (torch {other['torch']}), in turns:\n\n{others}\n\n"
        f"How many times as much it takes, median of the rounds and their range:\n\n{ratios}"
    )


_LEGEND = """\
GFLOP: the matrix products of an update, forward and backward. GEMM GFLOP/s: these products alone on this device.
Of the bound: the time of these products alone as a share of learning. MiB: the process at its peak without what
torch takes on the host. Warm-up: building the training and its first 3 iterations, with compilation if there is any."""


def _heading(versions: dict[str, str], chosen: BenchArguments) -> str:
    import torch

    from rsl_rl.cli.bench.timed_training import NUM_ACTIONS, NUM_EPOCHS, NUM_MINI_BATCHES, NUM_OBS

    threads = f"{chosen.threads or torch.get_num_threads()} threads" if chosen.threads != 1 else "1 thread"
    recurrent = f"{chosen.rnn.upper()} {chosen.rnn_hidden}, " if chosen.rnn else ""
    compiled = f", compiled ({chosen.compile})" if chosen.compile else ""
    return (
        f"rsl_rl {versions['version']} (torch {versions['torch']}) on {chosen.device}, {threads}, "
        f"{'bfloat16' if chosen.mixed_precision else 'float32'}{compiled}\n"
        f"{NUM_OBS} observations, {NUM_ACTIONS} actions, {chosen.num_steps} steps, {NUM_EPOCHS} epochs of "
        f"{NUM_MINI_BATCHES} mini-batches, {recurrent}{list(chosen.hidden)}; median of {chosen.rounds} rounds\n"
    )


def _row(result: dict[str, Any], library: str) -> dict[str, object]:
    summary = result[library]
    row: dict[str, object] = {"environments": result["num_envs"]}
    row |= {f"{phase} ms": f"{1e3 * summary[phase]:.1f}" for phase in ("collect", "learn")}
    row["steps/s"] = f"{summary['steps_per_second']:,.0f}"
    if library == "this":
        row["GFLOP"] = f"{result['flops'] / 1e9:.3g}"
        row["GEMM GFLOP/s"] = f"{result['gemm_flops_per_second'] / 1e9:.3g}"
        row["of the bound"] = f"{result['bound_share']:.0%}"
    return row | {"MiB": f"{summary['memory_mb']:,.0f}", "warm-up s": f"{summary['warm_up']:.1f}"}


def _table(rows: Iterable[dict[str, object]]) -> str:
    rows = list(rows)
    return as_table(list(rows[0]), [list(row.values()) for row in rows])
