# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which code, machine and command a run was made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.limits import read_json, read_limited

# File of a run that says for each of its starts when, how, and on which machine.
STARTS = "provenance.json"
# Packages whose version may change what is learned.
_PACKAGES = ("numpy", "tensordict", "gymnasium", "mujoco", "envpool", "mjlab", "isaaclab", "isaacsim", "warp-lang")


def store_git_state(files: list[str], folder: str | Path) -> list[str]:
    """Write branch, commit, status and diff of the git repositories that hold some files or folders.

    One ``<repository>.diff`` each goes to ``folder``; these are returned. What lies outside a repository is passed
    over, and so is everything where git is not installed.
    """
    written: list[str] = []
    paths = [Path(file).resolve() for file in files]
    starts = [path if path.is_dir() else path.parent for path in paths]
    roots = dict.fromkeys(_git(start, "rev-parse", "--show-toplevel").strip() for start in starts)
    for root in filter(None, roots):
        target = Path(folder) / f"{Path(root).name}.diff"
        number = 1
        while str(target) in written:
            number += 1
            target = Path(folder) / f"{Path(root).name}_{number}.diff"
        target.parent.mkdir(parents=True, exist_ok=True)
        sections = {
            # Also the branch that has no commit yet; empty where no branch is checked out.
            "branch": _git(root, "symbolic-ref", "--quiet", "--short", "HEAD"),
            "commit": _git(root, "rev-parse", "HEAD"),
            "status": _git(root, "status", "--porcelain", "--untracked-files=all"),
            "diff": _git(root, "diff", "--no-color", "--no-ext-diff", "HEAD"),
        }
        text = "".join(f"--- {title} ---\n{content}\n" for title, content in sections.items())
        target.write_text(text, encoding="utf-8", errors="replace")
        written.append(str(target))
    return written


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None for one that is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python, torch and this library."""
    library = installed_version("rsl-rl-lib") or "unknown"
    return {"rsl-rl-lib": library, "torch": torch.__version__, "python": platform.python_version()}


def hardware(device: str = "cpu") -> dict[str, Any]:
    """Return what this machine is: cpu, cores, memory_gib, os; None where nothing is known.

    With a GPU as ``device`` also gpu, gpus, gpu_memory_gib, cuda: to look at one takes memory on it.
    """
    processor = platform.processor() or platform.machine() or None
    found: dict[str, Any] = {"cpu": processor, "cores": os.cpu_count(), "memory_gib": None, "os": platform.platform()}
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        found["cpu"] = next(names, processor)
    with contextlib.suppress(OSError):
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
        found["os"] = f"{name} ({platform.system()} {platform.release()})"
    # Linux only; others lack one or the other.
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found["memory_gib"] = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
        found["cores"] = len(os.sched_getaffinity(0))
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        found |= {"gpu": properties.name, "gpus": torch.cuda.device_count(), "cuda": torch.version.cuda}
        found["gpu_memory_gib"] = round(properties.total_memory / 2**30, 1)
    return found


def packages() -> dict[str, str]:
    """Return the versions of the simulators and libraries that are installed."""
    return {name: version for name in _PACKAGES if (version := installed_version(name))}


def record_start(folder: str | os.PathLike[str], device: str = "cpu", iteration: int = 0) -> None:
    """Add a start of a run, which learns on ``device`` from ``iteration`` on, to its file; never ends a training."""
    path = Path(folder) / STARTS
    try:
        start = {
            "date": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": list(sys.argv),
            "iteration": iteration,
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
            "hardware": hardware(device),
            "versions": versions() | packages(),
        }
        write_whole(path, json.dumps([*read_starts(folder), start], indent=1))
    except Exception as error:  # whatever it is, it is not worth a run
        warnings.warn(f"'{path}' cannot be written, training goes on: {error!r}", stacklevel=2)


def read_starts(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the starts of a run, the first one first; none where the file is missing or damaged."""
    try:
        starts = read_json(read_limited(Path(folder) / STARTS))
    except (OSError, ValueError):
        return []
    return [start for start in starts if isinstance(start, dict)] if isinstance(starts, list) else []


def _git(folder: str | Path, *arguments: str) -> str:
    """Return what git prints, or nothing where it fails or is missing."""
    try:
        done = subprocess.run(
            # Looking must not write to the repository, where the user may be at work.
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
