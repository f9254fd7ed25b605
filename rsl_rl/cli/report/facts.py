# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the folder of a run tells about it. A file that is missing or damaged leaves its place empty."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsl_rl.checkpoint import newest_checkpoint, numbered_checkpoints, read_checkpoint
from rsl_rl.cli.export_record import recorded_check
from rsl_rl.cli.run_folder import CONFIG, EXPORTS
from rsl_rl.cli.sweep.space import task_document
from rsl_rl.cli.warning_log import read_warnings
from rsl_rl.config.task import load_task, task_names
from rsl_rl.telemetry.history import LENGTH_TAGS, RETURN_TAGS, History, read_history
from rsl_rl.telemetry.plain_values import flattened
from rsl_rl.telemetry.provenance import read_starts
from rsl_rl.utils.recognition import found_instead, read_json, why_not_text
from rsl_rl.utils.yaml_text import read_yaml

_FOREIGN_CONFIGS = ("params/agent.yaml", "params/env.yaml")
_SECTIONS = re.compile(r"^--- (?:git )?(branch|commit|status|diff) ---$", re.MULTILINE)
NOT_SET = "not set"
# Without influence on what is learned.
_NOT_COMPARED = ("name", "description", "expected", "seed")
_DEFAULTS = "defaults"


@dataclass(frozen=True)
class CodeState:
    """One repository, as it was when the run began."""

    name: str
    file: Path
    branch: str
    commit: str
    changes: list[str]
    """Files that differed from the commit, as git names them."""
    diff: str


class RunFacts:
    """Everything a report is made from: what there is in the folder of a run, of this or another program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        """What could not be read, and why."""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self._read(folder)
        self.problems += dict.fromkeys(str(warning.message) for warning in told)

    def _read(self, folder: Path) -> None:
        self.config, self.texts = _config(folder, self.problems)
        """What the run was started with, and the files of the configuration as they are, by name."""
        self.title = str((self.config or {}).get("name") or folder.resolve().name)
        self.baseline, self.baseline_name = _baseline(self.config)
        """What the configuration is compared with, under dotted keys."""
        try:
            self.history = read_history(folder)
            if not self.history.tags:
                self.problems.append(f"'{self.history.source}' holds no number that is finite.")
        except (OSError, ValueError, ImportError) as error:
            self.history = History(folder, {})
            self.problems.append(str(error))
        self.reward_tag = next((tag for tag in RETURN_TAGS if tag in self.history.tags), None)
        self.length_tag = next((tag for tag in LENGTH_TAGS if tag in self.history.tags), None)
        self.starts = read_starts(folder) or _versions_of_checkpoint(folder)
        self.warnings = read_warnings(folder)
        states = [_code_state(file) for file in sorted((folder / "git").glob("*.diff"))]
        self.code = [state for state in states if state is not None]
        self.checkpoints = _checkpoints(folder)
        self.exports = [
            (file, stat, _checked(file))
            for file in sorted((folder / EXPORTS).glob("*"))
            if file.suffix in (".onnx", ".pt", ".pt2") and (stat := _stat(file))
        ]
        self.evaluations = _evaluations(folder)

    def end(self, axis: str) -> float | None:
        """Return the last iteration, steps or seconds of the history; None where it does not tell."""
        if axis not in self.history.axes:
            return None
        ends = (self.history.series(tag, axis)[0][-1] for tag in self.history.tags)  # type: ignore[arg-type]
        return max(ends, default=None)

    def changed(self) -> list[tuple[str, Any, Any]]:
        """Return key, value and baseline for every value that differs from the baseline."""
        if self.config is None or self.baseline is None:
            return []
        mine, theirs = flattened(self.config), self.baseline
        # A key that this run lacks altogether is of a release that did not have it.
        lacking = [key for key in theirs if key not in mine and any(key.startswith(f"{leaf}.") for leaf in mine)]
        # The defaults are those of any environment, and groups are filled from the one that is given.
        left_out = (*_NOT_COMPARED, "env") if self.baseline_name == _DEFAULTS else _NOT_COMPARED
        keys = [key for key in (*mine, *lacking) if key not in left_out and not key.startswith("runner.obs_groups")]
        pairs = [(key, mine.get(key, NOT_SET), theirs.get(key, NOT_SET)) for key in keys]
        return [(key, own, other) for key, own, other in pairs if own != other and (own, other) != ({}, NOT_SET)]


def _config(folder: Path, problems: list[str]) -> tuple[dict[str, Any] | None, dict[str, str]]:
    texts = {}
    for name in (CONFIG, *_FOREIGN_CONFIGS):
        with contextlib.suppress(OSError):
            texts[name] = (folder / name).read_text(encoding="utf-8", errors="replace")
    if CONFIG in texts:
        try:
            document = read_yaml(folder / CONFIG)
            if isinstance(document, dict):
                return document, texts
            problems.append(f"{CONFIG} cannot be read: it has no sections.")
        except (ValueError, OSError) as error:
            problems.append(f"{CONFIG} cannot be read: {error}")
    return None, texts


def _baseline(config: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """Return what a configuration is compared with: the preset of its task, else the defaults for any environment."""
    if config is None or not isinstance(config.get("runner"), Mapping):
        return None, ""
    name = str(config.get("name"))
    if name in task_names():
        return flattened(task_document(load_task(name))), f"preset '{name}'"
    return flattened(task_document(load_task("gym:any"))), _DEFAULTS


def _versions_of_checkpoint(folder: Path) -> list[dict[str, Any]]:
    """Return what a checkpoint tells of a run that did not note its starts."""
    with contextlib.suppress(OSError, ValueError):
        versions = read_checkpoint(newest_checkpoint(folder), map_location="cpu").get("versions")
        if isinstance(versions, Mapping):
            return [{"versions": dict(versions)}]
    return []


def _checked(file: Path) -> dict[str, Any] | None:
    """Return what is noted about an exported policy, or under ``damage`` that it is none."""
    damage = _told_damage(file)
    return recorded_check(file) if damage is None else {"damage": damage}


def _code_state(file: Path) -> CodeState | None:
    """Return what a file says of a repository; None, with a warning, where it says nothing."""
    parts = _SECTIONS.split(file.read_text(encoding="utf-8", errors="replace"))
    if len(parts) == 1:
        reason = why_not_text(file, "it has no part that begins with '--- commit ---'")
        warnings.warn(f"'{file}' cannot be read and is left out: {reason}.", stacklevel=2)
        return None
    sections: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        if "diff" in sections:  # What follows is part of the diff.
            sections["diff"] += f"--- {name} ---{text}"
        else:
            sections[name] = text
    changes = [line for line in sections.get("status", "").splitlines() if line.strip()]
    branch, commit = (sections.get(name, "").strip() for name in ("branch", "commit"))
    return CodeState(file.stem, file, branch, commit, changes, sections.get("diff", "").strip("\n"))


def _checkpoints(folder: Path) -> list[tuple[Path, os.stat_result, str]]:
    """Return the files, and what they hold."""
    numbered = {file: f"iteration {iteration}" for iteration, file in numbered_checkpoints(folder).items()}
    found = {file: _told_damage(file) or meaning for file, meaning in numbered.items()}
    for file in sorted(set(folder.glob("*.pt")) - set(found)):
        kind = {"best": "the best so far, ", "latest": "newest, "}.get(file.stem, "")
        try:
            iteration = read_checkpoint(file, map_location="cpu").get("iter", "unknown")
            found[file] = f"{kind}iteration {iteration}"
        except (OSError, ValueError) as error:
            found[file] = "cannot be read"
            warnings.warn(str(error), stacklevel=2)
    return [(file, stat, meaning) for file, meaning in found.items() if (stat := _stat(file))]


def _told_damage(file: Path) -> str | None:
    """Return ``"cannot be read"``, with a warning, for a file that is not what its name says, without reading it."""
    other = found_instead(file)
    fitting: dict[str, tuple[str, ...]] = {".pt": ("it is a checkpoint", "it is an exported policy (TorchScript)")}
    fitting[".pt2"] = ("it is an exported policy (torch.export)",)
    if other is None or other in fitting.get(file.suffix, ()):
        return None
    warnings.warn(f"'{file}' cannot be read: {other}.", stacklevel=3)
    return "cannot be read"


def _stat(file: Path) -> os.stat_result | None:
    """Return size and time of a file; None if it is gone, as a training that goes on removes old checkpoints."""
    try:
        return file.stat()
    except OSError:
        return None


def _evaluations(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    files = sorted((folder / "evaluation").glob("*.json"))
    return [(file, document) for file in files if (document := read_json(file, dict)) is not None]
