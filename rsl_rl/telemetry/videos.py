# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Finds the videos that an environment's recorder leaves in the folder of a run."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_SUFFIXES = (".mp4", ".webm", ".gif")
# A file that changed within so many seconds may still be written.
_SETTLED = 2.0


class VideoFolder:
    """Reports each video in ``<log_dir>/videos`` once. It is asked when a checkpoint is saved, and at the end."""

    def __init__(self, log_dir: str) -> None:
        """Remember the folder; it need not exist."""
        self._folder = os.path.join(log_dir, "videos")
        self._told: set[str] = set()

    def new(self, all_of_them: bool = False) -> list[Path]:
        """Return the videos not told of before, the oldest first; on request also those that may still be written."""
        found: list[tuple[float, str]] = []
        for folder, _, files in os.walk(self._folder):
            for path in (os.path.join(folder, file) for file in files if file.lower().endswith(_SUFFIXES)):
                with contextlib.suppress(OSError):  # removed meanwhile
                    changed = os.stat(path).st_mtime
                    if path not in self._told and (all_of_them or abs(time.time() - changed) > _SETTLED):
                        found.append((changed, path))
        self._told.update(path for _, path in found)
        return [Path(path) for _, path in sorted(found)]
