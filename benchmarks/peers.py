# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The same training in other libraries, measured in turns with this one.

    python benchmarks/peers.py --sb3 PYTHON --skrl PYTHON --rl-games PYTHON   # each an interpreter that has the library
    python benchmarks/peers.py --skrl PYTHON --num-envs 64 --rounds 9 --compile
    python benchmarks/peers.py --skrl PYTHON --num-envs 64 --count            # is it the same work?

The same work for all: an environment of pre-drawn numbers with 48 observations and 12 actions, 24 steps, 5 epochs of 4
mini-batches, separate actor and critic, ELU, normalized observations, float32. rl_games compiles its networks unless it
is told not to, and is measured both ways.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from rsl_rl.cli.bench.bound import learn_flops
from rsl_rl.cli.bench.rounds import Round, Turns, Variant, iterations_per_round
from rsl_rl.cli.bench.timed_training import NUM_ACTIONS, NUM_EPOCHS, NUM_MINI_BATCHES, NUM_OBS
from rsl_rl.cli.main import UserError
from rsl_rl.cli.table import as_table

WORKERS = Path(__file__).parent / "peer_workers"
OURS = "this library"
NUM_STEPS = 24
HEADER = ("library", "version", "collect ms", "learn ms", "steps/s", "MiB", "warm-up s", "times as long as ours")
SMALL, LARGE = [256, 128, 64], [512, 256, 128]


def variants_of(case: dict[str, Any], chosen: argparse.Namespace) -> list[Variant]:
    """Start a process for each library that was given, and for this one."""
    variants = [Variant(OURS, sys.executable, case)]
    compiled = {**case, "compile": "default"}
    if chosen.compile:
        variants.append(Variant(f"{OURS}, compiled", sys.executable, compiled))
    # Operations are counted as they are dispatched, which compiled ones are not.
    others = [
        ("stable-baselines3", chosen.sb3, "sb3_worker.py", case),
        ("skrl", chosen.skrl, "skrl_worker.py", case),
        ("rl_games, compiled", None if chosen.count else chosen.rl_games, "rl_games_worker.py", compiled),
        ("rl_games, not compiled", chosen.rl_games, "rl_games_worker.py", case),
    ]
    return variants + [Variant(name, python, at, WORKERS / file) for name, python, file, at in others if python]


def ready(turns: Turns) -> dict[str, str]:
    """Warm up; leave out what cannot be measured, and say why. Return the libraries' versions."""
    versions = {}
    for variant in list(turns.variants):
        try:
            versions[variant.name] = variant.imported()["version"]
            turns.warm_up[variant.name] = variant.prepare()
        except UserError as error:
            print(f"{error}\n")
            variant.close()
            turns.variants.remove(variant)
    if OURS not in turns.warm_up:
        raise SystemExit(1)
    return versions


def counted(rounds: list[dict[str, Round]], case: dict[str, Any]) -> str:
    """Return the operations of every library's update; those of this one are what ``rsl-rl bench`` states."""
    flops = {name: one.get("learn_flops", learn_flops(case)) for name, one in rounds[-1].items()}
    rows = [(name, f"{count / 1e9:.4f}", f"{count / flops[OURS]:.4f}") for name, count in flops.items()]
    return as_table(("library", "GFLOP per update", "of ours"), rows)


def rows_of(rounds: list[dict[str, Round]], versions: dict[str, str], turns: Turns, steps: int) -> list[tuple]:
    rows = []
    for variant in turns.variants:
        own = [one[variant.name] for one in rounds]
        ratios = [one["iteration"] / ours[OURS]["iteration"] for one, ours in zip(own, rounds, strict=True)]
        seconds = {phase: statistics.median(one[phase] for one in own) for phase in ("collect", "learn", "iteration")}
        rows.append(
            (
                variant.name,
                versions[variant.name],
                f"{1e3 * seconds['collect']:.1f}",
                f"{1e3 * seconds['learn']:.1f}",
                f"{steps / seconds['iteration']:,.0f}",
                f"{own[-1]['peak_mb']:,.0f}",
                f"{turns.warm_up[variant.name]['warm_up']:.1f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            )
        )
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, library in (("--sb3", "stable-baselines3"), ("--skrl", "skrl"), ("--rl-games", "rl-games")):
        parser.add_argument(option, metavar="PYTHON", help=f"interpreter of an environment that has {library}")
    parser.add_argument("--num-envs", type=int, nargs="+", default=[64, 512, 4096])
    parser.add_argument("--hidden", type=int, nargs="+", help=f"{SMALL}, from 4096 environments on {LARGE}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="measure this library compiled, too")
    parser.add_argument("--count", action="store_true", help="count the operations of an update instead")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args(arguments)
    for python in (chosen.sb3, chosen.skrl, chosen.rl_games):
        if python and shutil.which(python) is None:
            parser.error(f"'{python}' is no interpreter that could be started")
    print(
        f"{NUM_OBS} observations, {NUM_ACTIONS} actions, {NUM_STEPS} steps, {NUM_EPOCHS} epochs of {NUM_MINI_BATCHES} "
        f"mini-batches, {chosen.device}, {chosen.threads} thread(s); median of {chosen.rounds} rounds\n"
    )
    for num_envs in chosen.num_envs:
        is_large = num_envs >= 4096
        hidden = chosen.hidden or (LARGE if is_large else SMALL)
        with tempfile.TemporaryDirectory() as folder:
            case = {
                **{"num_envs": num_envs, "num_steps": NUM_STEPS, "hidden": hidden, "rnn": None, "rnn_hidden": 0},
                **{"compile": None, "mixed_precision": False, "device": chosen.device, "threads": chosen.threads},
                # Where a library insists on writing.
                **{"folder": folder, "warm_up": 2 if is_large else 5, "count": chosen.count},
            }
            with Turns(variants_of(case, chosen)) as turns:
                versions = ready(turns)
                iterations = iterations_per_round(numbers["iteration"] for numbers in turns.warm_up.values())
                rounds = [turns.play(index, iterations) for index in range(chosen.rounds)]
        if chosen.count:
            print(f"{num_envs} environments, {hidden}:\n\n{counted(rounds, case)}\n", flush=True)
            continue
        table = as_table(HEADER, rows_of(rounds, versions, turns, num_envs * NUM_STEPS))
        print(f"{num_envs} environments, {hidden}:\n\n{table}\n", flush=True)


if __name__ == "__main__":
    main()
