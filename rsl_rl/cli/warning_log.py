# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Keeps the warnings of a training in its folder, where they are still found when the screen is gone."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rsl_rl.utils.atomic_files import rescue_folder
from rsl_rl.utils.limits import parse_json

WARNINGS = "warnings.jsonl"
_MOST = 1000


class WarningLog(contextlib.AbstractContextManager["WarningLog"]):
    """Keeps the warnings shown within its block: each text once, as a line of JSON, in memory until begin()."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._iteration: Callable[[], int] = lambda: 0
        self._seen: set[str] = set()
        self._waiting: list[str] = []
        self._shown = warnings.showwarning
        warnings.showwarning = self._show_and_keep

    def __exit__(self, *_: object) -> None:
        """Go on without; what could not be written yet goes to a temporary folder, which is said."""
        self._write()
        if self._path is not None and self._waiting:
            path, number = self._path, len(self._waiting)
            with contextlib.suppress(OSError):
                self._path = Path(rescue_folder(path.parent)) / WARNINGS
                self._write()
            lie = f"are lost: '{path}' cannot be written" if self._waiting else f"lie in '{self._path}'"
            print(f"warning: The last {number} lines of {path.name} {lie}.", file=sys.stderr)
        if warnings.showwarning == self._show_and_keep:
            warnings.showwarning = self._shown

    def _show_and_keep(self, message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        self._shown(message, category, *rest, **options)
        self.add(message, category)

    def begin(self, folder: str | os.PathLike[str], iteration: Callable[[], int]) -> None:
        """Write into a run's folder from now on, first what was met before; ``iteration`` tells that in progress."""
        self._path, self._iteration = Path(folder) / WARNINGS, iteration
        with contextlib.suppress(OSError), self._path.open("rb+") as file:
            if (content := file.read()) and not content.endswith(b"\n"):
                file.write(b"\n")  # A killed process has left a line without its end: the next one would run into it.
        self._write()

    def add(self, message: Warning | str, category: type[Warning]) -> None:
        """Keep a warning; those for programmers are passed over. Never raises."""
        text = str(message)
        if issubclass(category, (DeprecationWarning, FutureWarning)) or text in self._seen or len(self._seen) >= _MOST:
            return
        self._seen.add(text)
        with contextlib.suppress(Exception):  # whatever it is, a note is not worth a run
            time = datetime.now().astimezone().isoformat(timespec="seconds")
            entry = {"time": time, "iteration": self._iteration(), "category": category.__name__, "message": text}
            self._waiting.append(json.dumps(entry) + "\n")
            self._write()

    def _write(self) -> None:
        if self._path is not None and self._waiting:
            # A disk that is full now may have room for these lines at the next warning.
            with contextlib.suppress(OSError), self._path.open("ab+") as file:
                size = file.seek(0, os.SEEK_END)
                try:
                    file.write("".join(self._waiting).encode())
                    file.flush()
                except OSError:
                    file.truncate(size)
                    raise
                self._waiting = []


def read_warnings(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the warnings of a run, the first one first; none where there is no file. Damaged lines are left out."""
    path = Path(folder) / WARNINGS
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = parse_json(line)
            if isinstance(entry, dict):
                found.append(entry)
    if left_out := len(lines) - len(found):
        warnings.warn(f"'{path}': {left_out} lines cannot be read and are left out.", stacklevel=2)
    return found
