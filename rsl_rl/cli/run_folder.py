# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Where the files of a run lie, and how a run is found again."""

from __future__ import annotations

import argparse
import contextlib
import csv
import functools
import itertools
import os
import re
import socket
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rsl_rl.cli.own_runs import check_links, check_stranger
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.config.task import TaskConfig, filed_as, read_task, task_names
from rsl_rl.telemetry.metrics_csv import FILE_NAME
from rsl_rl.telemetry.provenance import read_starts
from rsl_rl.utils import listed
from rsl_rl.utils.recognition import found_instead
from rsl_rl.utils.trust import never_import_from

RUNS = Path("runs")
CONFIG = "config.yaml"
EXPORTS = "exports"
CURVE = "learning_curve.png"
VIDEO = "play.mp4"
_LAUNCH = ".launch"
_FILES = (".pt", ".pt2", ".onnx")
_TIME = "%Y-%m-%d_%H-%M-%S"
# Also with a name behind it, as Isaac Lab has it; a number where two runs began in the same second.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:_(\d+)$)?")


def new_run_folder(task: TaskConfig, chosen: Path | None) -> Path:
    """Create the folder of a new run: the chosen one, unless it holds something already, or ``runs/TASK/DATE_TIME``."""
    if chosen is None:
        stamp = datetime.now().strftime(_TIME)
        for number in itertools.count(1):
            folder = RUNS / filed_as(task.name) / (stamp if number == 1 else f"{stamp}_{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                return folder
    assert chosen is not None
    if chosen.exists() and (not chosen.is_dir() or any(chosen.iterdir())):
        raise FileExistsError(
            f"The run folder '{chosen}' exists already and is not empty; nothing in it was changed. "
            "Choose another with --run-dir, or leave it out for a new one under 'runs/'."
        )
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def newest_first(folders: Sequence[Path]) -> list[Path]:
    """Return runs by the time at which they began: as their names say it, else as they have noted it.

    Copies have new times, so those of the files are taken where there is no other, and that is said.
    """
    begun: dict[Path, tuple[datetime, int]] = {}
    guessed = []
    for folder in folders:
        if found := _STAMP.match(folder.name):
            begun[folder] = datetime.strptime(found[1], _TIME), int(found[2] or 1)
            continue
        try:
            noted = datetime.fromisoformat(str(read_starts(folder)[0]["date"]))
        except (LookupError, ValueError):
            guessed.append(folder)
            noted = datetime.fromtimestamp((folder / CONFIG).stat().st_mtime)
        begun[folder] = noted.astimezone().replace(tzinfo=None) if noted.tzinfo else noted, 0
    order = sorted(folders, key=lambda folder: (begun[folder], folder.name), reverse=True)
    if guessed and len(folders) > 1:
        warnings.warn(
            f"Of {len(folders)} runs '{order[0]}' is taken for the newest. When these began was guessed by the times "
            f"of their files: {listed(guessed)}.",
            stacklevel=2,
        )
    return order


def first_iteration(folder: Path) -> int:
    """Return the number of a run's first iteration, by its table; 0 where that does not say."""
    try:
        with (folder / FILE_NAME).open(newline="", encoding="utf-8") as file:
            return int(next(csv.DictReader(file))["iteration"])
    except (OSError, ValueError, LookupError, StopIteration, csv.Error):
        return 0


class Run:
    """A finished or running training run on disk."""

    def __init__(self, name: str) -> None:
        """Find a run by what a user calls it.

        Args:
            name: A run's folder, a checkpoint or exported policy in one, a folder of runs, or a task's name; of several
                runs the newest with a checkpoint is meant.
        """
        self.file: Path | None = None
        path = Path(name)
        if path.is_file():
            if path.suffix not in _FILES and path.name != CONFIG:
                raise ValueError(f"'{path}' is neither a checkpoint (.pt) nor an exported policy (.onnx, .pt, .pt2).")
            self.file = path
            folders = [folder for folder in path.resolve().parents if (folder / CONFIG).is_file()][:1]
            if not folders:
                raise FileNotFoundError(
                    f"'{path}' is not in the folder of a run: there is no {CONFIG} beside it or above it."
                )
        else:
            places = (path, RUNS / name, RUNS / filed_as(name))
            folders = [folder for folder in places if (folder / CONFIG).is_file()][:1]
            if not folders:
                configs = [config for place in places for config in place.glob(f"*/{CONFIG}")]
                # Hydra keeps a file of this name in a hidden folder.
                found = [config.parent for config in configs if not config.parent.name.startswith(".")]
                playable = [folder for folder in found if any(folder.glob("model_*.pt"))]
                folders = newest_first(playable or found)[:1]
        if not folders and name in task_names():
            raise FileNotFoundError(f"The task '{name}' has no run under '{RUNS}' yet. Train it: rsl-rl train {name}")
        if not folders and path.suffix in _FILES and path.parent.is_dir():
            beside = sorted(file.name for file in path.parent.iterdir() if file.suffix in _FILES)
            raise FileNotFoundError(f"There is no file '{path}'. Beside it: {listed(beside)}.")
        if not folders:
            known = sorted(str(config.parent) for config in RUNS.glob(f"*/*/{CONFIG}"))
            raise FileNotFoundError(
                f"There is no run '{name}': no folder with a {CONFIG}. Runs under '{RUNS}': "
                f"{', '.join(known[-5:]) or 'none, train one with: rsl-rl train'}."
            )
        self.folder = folders[0]
        never_import_from(self.folder)
        check_links(self.folder)

    def task(self, trust: bool = False, trains: bool = False) -> TaskConfig:
        """Return what the run was started with; of a stranger's run only what is trusted, see :mod:`own_runs`.

        A ValueError or TypeError names the file.
        """
        load_pytorch()
        path = self.folder / CONFIG
        try:
            return read_task(path, functools.partial(check_stranger, trust, trains=trains))
        except (ValueError, TypeError) as error:
            raise error if str(path) in str(error) else type(error)(f"'{path}' cannot be used: {error}") from error

    def exported(self) -> Path | None:
        """Return the exported policy that was named, wherever it lies; None if it was something else."""
        if self.file is None or self.file.name == CONFIG:
            return None
        if self.file.suffix != ".pt" or self.file.parent.name == EXPORTS:
            return self.file
        # A checkpoint ends in .pt as well, and holds data only; whoever reads a damaged file says so.
        return self.file if found_instead(self.file) == "it is an exported policy (TorchScript)" else None

    def checkpoint(self) -> Path:
        """Return the checkpoint that was named, else the newest that can be read; see :func:`newest_checkpoint`."""
        if self.file is not None and self.file.suffix == ".pt" and self.exported() is None:
            return self.file
        load_pytorch()
        from rsl_rl.checkpoint import newest_checkpoint

        return newest_checkpoint(self.folder)

    def checkpoint_if_any(self) -> Path | None:
        """Return the same, or None for a run that was stopped before its first checkpoint."""
        with contextlib.suppress(FileNotFoundError):
            return self.checkpoint()


def check_finite(state: Mapping[str, Any], checkpoint: Path | str) -> None:
    """Raise ValueError for the models of a checkpoint whose training had diverged: they can neither act nor learn."""
    from rsl_rl.checkpoint import nonfinite_in

    if bad := nonfinite_in(state):
        others = sorted(
            str(file) for file in Path(checkpoint).parent.glob("*.pt") if file.name != Path(checkpoint).name
        )
        raise ValueError(
            f"'{checkpoint}' cannot be used: it holds NaN or infinite numbers in {listed(bad[:4])}, so its training "
            f"had diverged. Others beside it: {listed(others)}."
        )


def run_to_resume(arguments: list[str], task: TaskConfig) -> Run | None:
    """Return the run that the arguments of ``train TASK`` ask to go on with, or that a launcher restarts."""
    # These have to be known before the other options can be.
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--resume", "--run-dir"):
        early.add_argument(name, nargs="?")
    known, _ = early.parse_known_args(arguments)
    wanted, run_dir = known.resume, known.run_dir
    folders = [Path(run_dir)] if run_dir else list((RUNS / filed_as(task.name)).glob("*"))
    folders = [folder for folder in folders if (folder / CONFIG).is_file()]
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0:
        # Whatever the first attempt began with, it goes on in the folder of that.
        named = [Run(wanted).folder] if wanted not in (None, "auto") else []
        for folder in (*named, *folders):
            with contextlib.suppress(OSError, ValueError):
                if (folder / _LAUNCH).read_text(encoding="utf-8") == _this_launch():
                    return Run(str(folder))
    if wanted == "auto":
        from rsl_rl.checkpoint import numbered_checkpoints

        begun = [folder for folder in folders if numbered_checkpoints(folder)] or folders[: 1 if run_dir else 0]
        return Run(str(newest_first(begun)[0])) if begun else None
    return None if wanted is None else Run(wanted)


def remember_launch(folder: Path) -> None:
    """Note which launcher works in a run's folder, so that the processes it restarts find it again."""
    if launch := _this_launch():
        (folder / _LAUNCH).write_text(launch, encoding="utf-8")


def _this_launch() -> str | None:
    """Return what tells one ``torchrun`` from another, None without one."""
    run_id = os.environ.get("TORCHELASTIC_RUN_ID")
    # Without an identifier of its own it is the process that started this one.
    return f"{socket.gethostname()} {os.getppid()}" if run_id == "none" else run_id
