# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Where the files of a run lie, and how a run is found again."""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import socket
import zipfile
from datetime import datetime
from pathlib import Path

from rsl_rl.cli.own_runs import check_stranger
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.config.task import TaskConfig, filed_as, read_task, task_names
from rsl_rl.utils.trust import never_import_from

RUNS = Path("runs")
CONFIG = "config.yaml"
EXPORTS = "exports"
CURVE = "learning_curve.png"
VIDEO = "play.mp4"
_LAUNCH = ".launch"


def new_run_folder(task: TaskConfig, chosen: Path | None) -> Path:
    """Create the folder of a new run: the chosen one, unless it holds something already, or ``runs/TASK/DATE_TIME``."""
    if chosen is None:
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for number in itertools.count(1):
            folder = RUNS / task.name / (stamp if number == 1 else f"{stamp}_{number}")
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
            if path.suffix not in (".pt", ".pt2", ".onnx") and path.name != CONFIG:
                raise ValueError(f"'{path}' is neither a checkpoint (.pt) nor an exported policy (.onnx, .pt, .pt2).")
            self.file = path
            folders = [folder for folder in path.resolve().parents if (folder / CONFIG).is_file()][:1]
        else:
            places = (path, RUNS / (filed_as(name) if ":" in name else name))
            folders = [folder for folder in places if (folder / CONFIG).is_file()][:1]
            if not folders:
                configs = [config for place in places for config in place.glob(f"*/{CONFIG}")]
                # Hydra keeps a file of this name in a hidden folder.
                found = [config.parent for config in configs if not config.parent.name.startswith(".")]
                playable = [folder for folder in found if any(folder.glob("model_*.pt"))]
                folders = sorted(playable or found, key=lambda folder: (folder / CONFIG).stat().st_mtime)[-1:]
        if not folders and name in task_names():
            raise FileNotFoundError(f"The task '{name}' has no run under '{RUNS}' yet. Train it: rsl-rl train {name}")
        if not folders:
            known = sorted(str(config.parent) for config in RUNS.glob(f"*/*/{CONFIG}"))
            raise FileNotFoundError(
                f"There is no run '{name}': no folder with a {CONFIG}. Runs under '{RUNS}': "
                f"{', '.join(known[-5:]) or 'none, train one with: rsl-rl train'}."
            )
        self.folder = folders[0]
        never_import_from(self.folder)

    def task(self, trust: bool = False) -> TaskConfig:
        """Return what the run was started with; of a stranger's run only code that is trusted, see :mod:`own_runs`."""
        load_pytorch()
        return read_task(self.folder / CONFIG, functools.partial(check_stranger, trust))

    def exported(self) -> Path | None:
        """Return the exported policy that was named, wherever it lies; None if it was something else."""
        if self.file is None or self.file.name == CONFIG:
            return None
        if self.file.suffix != ".pt" or self.file.parent.name == EXPORTS:
            return self.file
        # A checkpoint ends in .pt as well, and holds data only; whoever reads a damaged file says so.
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(self.file) as archive:
            return self.file if any("/code/" in name for name in archive.namelist()) else None
        return None

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


def run_to_resume(arguments: list[str], task: TaskConfig) -> Run | None:
    """Return the run that the arguments of ``train TASK`` ask to go on with, or that a launcher restarts."""
    # These have to be known before the other options can be.
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--resume", "--run-dir"):
        early.add_argument(name, nargs="?")
    known, _ = early.parse_known_args(arguments)
    wanted, run_dir = known.resume, known.run_dir
    folders = [Path(run_dir)] if run_dir else sorted((RUNS / task.name).glob("*"), reverse=True)
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
        return Run(str(begun[0])) if begun else None
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
