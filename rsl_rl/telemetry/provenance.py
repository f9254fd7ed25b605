# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which code a run was made with."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch


def store_git_state(files: list[str], folder: str | Path) -> list[str]:
    """Write commit, status and diff of the git repositories that hold ``files``.

    A file outside a repository is passed over, and so is everything where git is not installed.

    Args:
        files: Files or folders; several in one repository count once.
        folder: Where to write one ``<repository>.diff`` each.

    Returns:
        The files written.
    """
    written: list[str] = []
    roots: list[str] = []
    for file in files:
        location = Path(file).resolve()
        start = location if location.is_dir() else location.parent
        root = _git(start, "rev-parse", "--show-toplevel").strip()
        if root and root not in roots:
            roots.append(root)
    for root in roots:
        target = Path(folder) / f"{Path(root).name}.diff"
        for number in range(2, 100):
            if str(target) not in written:
                break
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


def versions() -> dict[str, str]:
    """Return the versions of Python, torch and this library."""
    try:
        library = importlib.metadata.version("rsl-rl-lib")
    except importlib.metadata.PackageNotFoundError:
        library = "unknown"
    return {"rsl-rl-lib": library, "torch": torch.__version__, "python": platform.python_version()}


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
