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

from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.limits import LONGEST_TEXT
from rsl_rl.utils.recognition import read_json

# File of a run that says for each of its starts when, how, and on which machine.
STARTS = "provenance.json"
# Packages whose version may change what is learned.
_PACKAGES = ("numpy", "tensordict", "gymnasium", "mujoco", "envpool", "mjlab", "isaaclab", "isaacsim", "warp-lang")


def store_git_state(files: list[str], folder: str | Path) -> list[str]:
    """Write branch, commit, status and diff of the git repositories that hold some files or folders.

    One ``<repository>.diff`` each goes to ``folder``; these are returned. What lies outside a repository is passed
    over; what git cannot tell of one is left out, with a warning that says why.
    """
    written: list[str] = []
    paths = [Path(file).resolve() for file in files]
    starts = [path if path.is_dir() else path.parent for path in paths]
    within = [start for start in starts if any((parent / ".git").exists() for parent in (start, *start.parents))]
    roots = dict.fromkeys(os.fsdecode(_git(start, "rev-parse", "--show-toplevel").rstrip(b"\n")) for start in within)
    for root in filter(None, roots):
        target = Path(folder) / f"{Path(root).name}.diff"
        number = 1
        while str(target) in written:
            number += 1
            target = Path(folder) / f"{Path(root).name}_{number}.diff"
        target.parent.mkdir(parents=True, exist_ok=True)
        commit = _git(root, "rev-parse", "--quiet", "--verify", "HEAD")
        # Before the first commit, everything that was added to it.
        base = commit.strip().decode() or _git(root, "hash-object", "-t", "tree", os.devnull).strip().decode()
        sections = {
            # Also the branch that has no commit yet; empty where no branch is checked out.
            "branch": _git(root, "symbolic-ref", "--quiet", "--short", "HEAD"),
            "commit": commit,
            "status": _git(root, "status", "--porcelain", "--untracked-files=all"),
            "diff": _git(root, "diff", "--no-color", "--no-ext-diff", base),
        }
        if len(sections["diff"]) > LONGEST_TEXT:
            warnings.warn(
                f"The diff of '{root}' is kept in part: it has {len(sections['diff']):,} bytes.", stacklevel=2
            )
            sections["diff"] = sections["diff"][:LONGEST_TEXT] + b"\n... cut here\n"
        # The bytes as they are: a diff of files in other encodings or with other ends of lines can be applied.
        target.write_bytes(b"".join(b"--- %s ---\n%s\n" % (title.encode(), text) for title, text in sections.items()))
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
    import torch

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
        import torch

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
        starts = read_starts(folder)
        if not starts and path.exists():
            path.replace(path.with_name(f"damaged_{STARTS}"))
        write_whole(path, json.dumps([*starts, start], indent=1))
    except Exception as error:  # whatever it is, it is not worth a run
        warnings.warn(f"'{path}' cannot be written, training goes on: {error!r}", stacklevel=2)


def read_starts(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the starts of a run, the first one first; none where the file is missing, or damaged, which is said."""
    starts = read_json(Path(folder) / STARTS, list)
    return [start for start in starts or () if isinstance(start, dict)]


def _git(folder: str | Path, *arguments: str) -> bytes:
    """Return what git prints; nothing where it fails, with a warning that says why, or has nothing to tell."""
    try:
        done = subprocess.run(
            # Looking must not write to the repository, where the user may be at work.
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=20,
            check=False,
        )
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0] if done.returncode else ""
    except FileNotFoundError:
        done, reason = None, "git is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        done, reason = None, str(error)
    if reason:
        text = f"The state of the code in '{folder}' is not kept, or in part: git {arguments[0]}: {reason}"
        warnings.warn(text, stacklevel=3)
    return done.stdout if done is not None and done.returncode == 0 else b""
