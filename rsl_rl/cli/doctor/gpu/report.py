# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Tries a GPU, measures it, and writes both down for an issue."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rsl_rl.cli.bench.rounds import Turns, Variant, iterations_per_round
from rsl_rl.cli.doctor.gpu.checks import Device, checks
from rsl_rl.cli.doctor.system import Check
from rsl_rl.cli.main import UserError
from rsl_rl.cli.table import as_table

FILE = "rsl-rl-gpu.json"
ENGINES: dict[str, dict[str, Any]] = {
    "eager": {"others": {"fast_path": "off"}},
    "auto": {},
    "graph": {"others": {"fast_path": "graph"}},
    "compiled": {"compile": "default", "others": {"fast_path": "off"}},
}


def needed() -> str | None:
    """Return what is missing to try a GPU, in a line; None if nothing is."""
    if torch.cuda.is_available():
        return None
    built = "for the CPU alone" if torch.version.cuda is None else f"for CUDA {torch.version.cuda}"
    return f"This needs an NVIDIA GPU and its driver; torch {torch.__version__}, built {built}, sees none."


def examine(
    device: Device,
    against: str | None,
    say: Callable[[Check], None],
    file: Path = Path(FILE),
    bench_device: str | None = None,
    rounds: int = 5,
    engines: Sequence[str] = tuple(ENGINES),
) -> bool:
    """Make all checks, saying each, then measure; write a JSON file and print a table. Return whether all is well."""
    started = time.perf_counter()
    found = []
    for check in checks(device):
        found.append(check)
        say(check)
    report: dict[str, Any] = {
        "library": importlib.metadata.version("rsl-rl-lib"),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if device.name == "cuda" else device.name,
        "gpus": device.num_devices,
        "checks": [dataclasses.asdict(check) for check in found],
    }
    file.write_text(json.dumps(report, indent=1) + "\n")  # Now, whatever happens to what is measured.
    speed = measured(device, against, bench_device or device.name, rounds, engines)
    report |= {"speed": speed, "seconds": round(time.perf_counter() - started, 1)}
    file.write_text(json.dumps(report, indent=1) + "\n")
    failed = [check.name for check in found if check.status == "failed"]
    names = ["", *next(iter(speed.values()), {})]
    rows = [[name, *row.values()] for name, row in speed.items()]
    print(f"\n{report['gpu']}, torch {report['torch']}, rsl_rl {report['library']}: {device.num_envs} environments")
    print(as_table(names, rows))
    ok = sum(check.status == "ok" for check in found)
    print(f"\n{ok} of {len(found)} checks passed" + (f"; failed: {', '.join(failed)}." if failed else "."))
    print(f"{file} holds all of it, to be pasted into an issue.")
    return not failed


def measured(
    device: Device, against: str | None, bench_device: str, rounds: int, engines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return milliseconds of collecting and learning, steps per second and MiB, of every engine, in turns."""
    case = {"num_envs": device.num_envs, "hidden": list(device.hidden), "rnn": None, "num_steps": 24, "compile": None}
    case |= {"mixed_precision": False, "device": bench_device, "threads": 0, "warm_up": 8}
    variants = [Variant(name, sys.executable, case | ENGINES[name]) for name in engines]
    if against is not None:
        variants.append(Variant("the other library", against, case))
    speed: dict[str, dict[str, Any]] = {}
    with Turns(variants) as turns:
        for variant in list(turns.variants):
            try:
                variant.imported()
                turns.warm_up[variant.name] = variant.prepare()
            except UserError as error:
                speed[variant.name] = {"collect ms": "-", "learn ms": "-", "steps/s": "-", "MiB": str(error)}
                turns.variants.remove(variant)
        if not turns.variants:
            return speed
        iterations = iterations_per_round(numbers["iteration"] for numbers in turns.warm_up.values())
        try:
            played = [turns.play(index, iterations) for index in range(rounds)]
        except UserError as error:
            return speed | {"": {"collect ms": "-", "learn ms": "-", "steps/s": "-", "MiB": str(error)}}
    for name in played[0]:
        median = {key: statistics.median(one[name][key] for one in played) for key in played[0][name]}
        speed[name] = {
            "collect ms": f"{1e3 * median['collect']:.1f}",
            "learn ms": f"{1e3 * median['learn']:.1f}",
            "steps/s": f"{case['num_envs'] * case['num_steps'] / median['iteration']:,.0f}",
            "MiB": f"{median['memory_mb']:.0f}",
        }
    return speed
