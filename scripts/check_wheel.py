# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Builds the wheel and tries it out in an empty environment of every Python from 3.10 to 3.13 that is here.

    python scripts/check_wheel.py                                  # all that are found
    PYTHONS="python3.11 /opt/python3.12/bin/python3" python scripts/check_wheel.py

Without extras: the import is quick and pulls in nothing optional, nothing conflicts, ``rsl-rl doctor`` passes. With
``[envs,plot]``: the doctor again, and a training of a minute in an empty folder. What pip installs (PyTorch above all)
takes up to 8 GB for each Python while it is tried.
"""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
# It must need no more than the extra envs, which has packages for every Python and system.
TASK = ("go1-walk",)
PACKAGES = ("runners", "algorithms", "models", "modules", "env", "storage", "utils", "extensions")
# Not even the requirements of other commands: importing needs torch, tensordict and numpy.
NOT_IMPORTED = (
    "gymnasium envpool mujoco matplotlib imageio optuna wandb neptune mlflow tensorboard onnx onnxscript onnxruntime "
    "rich tyro yaml git"
)
MOST_SECONDS = 3.0
PATIENCE = 60.0  # s, for an interpreter to say its version
# What belongs to the environment of whoever calls.
NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")


class Failed(Exception):
    """Something does not work; the message says what."""


def main() -> None:
    """Try every Python, and end with 1 where one failed."""
    pythons = find_pythons()
    if not pythons:
        sys.exit(f"None of Python {', '.join(VERSIONS)} was found. Name them: PYTHONS='/path/to/python3.11 ...'")
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="wheel") as place:
        wheel = build(Path(place))
        for version, python in pythons.items():
            print(f"\n== Python {version}: {python}", flush=True)
            try:
                try_out(wheel, python, Path(place) / version)
                outcomes[version] = "passed"
            except Failed as error:
                outcomes[version] = f"FAILED: {error}"
            print(outcomes[version], flush=True)
            shutil.rmtree(Path(place) / version, ignore_errors=True)
    print()
    for version in VERSIONS:
        print(f"Python {version}: {outcomes.get(version, 'not found here')}")
    sys.exit(any(outcome != "passed" for outcome in outcomes.values()))


def find_pythons() -> dict[str, str]:
    """Return by version an interpreter that can make environments."""
    named = shlex.split(os.environ.get("PYTHONS", ""))
    installed = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))]
    found: dict[str, str] = {}
    for python in named or [*(f"python{version}" for version in VERSIONS), *installed]:
        # Asked by running it: version managers leave commands that only print an error.
        code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys._base_executable)"
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        version, _, executable = done.stdout.strip().partition(" ")
        if done.returncode == 0 and version in VERSIONS:
            found.setdefault(version, executable)
    return dict(sorted(found.items()))


def build(place: Path) -> Path:
    """Return a wheel, built from a copy of the sources: the checkout stays as it is."""
    sources = place / "sources"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rsl_rl", sources / "rsl_rl", ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(sources)], place)
    (wheel,) = place.glob("*.whl")
    print(f"built {wheel.name}, {wheel.stat().st_size / 1024:.0f} KiB")
    return wheel


def try_out(wheel: Path, python: str, place: Path) -> None:
    """Install the wheel without and with extras, and use it.

    Raises:
        Failed: Something does not work.
    """
    run([python, "-m", "venv", str(place / "venv")], place.parent)
    bin_ = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    empty = place / "empty"
    empty.mkdir()
    install(bin_, str(wheel), empty)
    try_import(bin_, empty)
    run([str(bin_ / "rsl-rl"), "doctor"], empty, show=True)
    install(bin_, f"{wheel}[envs,plot]", empty)
    run([str(bin_ / "rsl-rl"), "doctor"], empty, show=True)
    started = time.perf_counter()
    printed = run([str(bin_ / "rsl-rl"), "train", *TASK, "--iterations", "60", "--run-dir", "run"], empty)
    seconds = time.perf_counter() - started
    print(printed[printed.rfind("Done: ") :].rstrip())
    for file in ("model_59.pt", "metrics.csv", "learning_curve.png", "exports/policy.onnx", "exports/policy.pt2"):
        if not (empty / "run" / file).is_file():
            raise Failed(f"the training left no {file}")
    print(f"trained {TASK[0]} in {seconds:.0f} s")
    run([str(bin_ / "rsl-rl"), "play", "go1-walk", "--pretrained", "--episodes", "2"], empty, show=True)


def install(bin_: Path, what: str, place: Path) -> None:
    """Install with the tested versions, and look for conflicts."""
    started = time.perf_counter()
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    run([str(bin_ / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir", *constraints, what], place)
    checked = run([str(bin_ / "python"), "-m", "pip", "check"], place).strip()
    print(f"installed {Path(what).name} in {time.perf_counter() - started:.0f} s; pip check: {checked}", flush=True)


def try_import(bin_: Path, place: Path) -> None:
    """Import all public packages: quickly, and nothing optional with them."""
    imports = "import rsl_rl, " + ", ".join(f"rsl_rl.{name}" for name in PACKAGES)
    code = f"import sys; {imports}; print([name for name in '{NOT_IMPORTED}'.split() if name in sys.modules])"
    loaded = run([str(bin_ / "python"), "-c", code], place).strip()  # also reads everything from the disk once
    if loaded != "[]":
        raise Failed(f"'{imports}' imports {loaded}")
    least = {}
    for statement in ("import torch, tensordict", "import rsl_rl", imports):
        seconds, busy = [], []
        for _ in range(5):
            started, used = time.perf_counter(), used_by_children()
            run([str(bin_ / "python"), "-c", statement], place)
            seconds.append(time.perf_counter() - started)
            busy.append(used_by_children() - used)
        median, processor = statistics.median(seconds), statistics.median(busy)
        print(
            f"{statement}: {median:.2f} s, {processor:.2f} s of the processor (medians of 5, with Python's own start)"
        )
        # Where others are at work, the clock measures them too.
        least[statement] = min(median, processor)
    bare, *_, ours = least.values()
    if bare > 0.8 * MOST_SECONDS:
        print("This machine is too slow, or too busy, to say whether that is quick.")
    elif ours > MOST_SECONDS:
        raise Failed(f"'{imports}' takes {ours:.2f} s, more than {MOST_SECONDS:.0f}")


def used_by_children() -> float:
    """Return the processor seconds of the processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def run(command: Sequence[str], place: Path, show: bool = False) -> str:
    """Return what a command prints.

    Raises:
        Failed: Its exit code is not 0; with the end of what it said.
    """
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, errors="replace", env=clean(os.environ), check=False
    )
    if show:
        print(done.stdout, end="", flush=True)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which only what is installed is found."""
    return {name: value for name, value in environment.items() if name not in NOT_PASSED_ON}


if __name__ == "__main__":
    main()
