# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""How the check of an exported file came out, kept beside the file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.recognition import read_json

if TYPE_CHECKING:
    from rsl_rl.export import ExportReport

CHECKS = "checks.json"


def record_check(report: ExportReport, policy: str) -> None:
    """Note the outcome of exporting a policy, such as a checkpoint's name; a full disk is not a reason to fail."""
    path = Path(report.path)
    with contextlib.suppress(OSError):
        entry = {
            "format": report.format,
            "policy": policy,
            "max_difference": report.max_difference,
            "num_samples": report.num_samples,
            "sha256": _digest(path),
            "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        checks = _read(path.parent) | {path.name: entry}
        write_whole(path.parent / CHECKS, json.dumps(checks, indent=1))


def recorded_check(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what is noted about a file; None if nothing is, or if the file has been changed since."""
    path = Path(path)
    entry = _read(path.parent).get(path.name)
    with contextlib.suppress(OSError):
        if isinstance(entry, dict) and entry.get("sha256") == _digest(path):
            return entry
    return None


def with_origin(path: str | os.PathLike[str]) -> str:
    """Return a policy's path, for an exported one with the checkpoint that it was written from."""
    entry = recorded_check(path)
    return str(path) if entry is None else f"{path} (from {entry.get('policy')})"


def outcome(report: ExportReport) -> str:
    """Return in words how far an exported policy is from the model."""
    if report.max_difference is None:
        return "not checked"
    return f"checked, differs by {report.max_difference:.0e}" if report.max_difference else "checked, identical"


def _read(folder: Path) -> dict[str, Any]:
    return read_json(folder / CHECKS, dict) or {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
