# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Which runs are drawn, which of them form one curve, and what the curve is called."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from rsl_rl.cli.run_folder import CONFIG, RUNS
from rsl_rl.config.task import filed_as
from rsl_rl.telemetry.history import EVENTS, History, read_history
from rsl_rl.telemetry.metrics_csv import FILE_NAME
from rsl_rl.telemetry.plain_values import flattened
from rsl_rl.utils import listed
from rsl_rl.utils.yaml_text import parse_yaml_text, read_yaml

# Where programs keep a run's configuration: ours, Isaac Lab's and mjlab's.
_CONFIGS = (CONFIG, "params/agent.yaml")
# Where the latter two keep the environment's, and its lines that do not change what is learned.
_ENVIRONMENT = "params/env.yaml"
_NOT_OF_ENVIRONMENT = re.compile(r"^ *(seed|device|log_dir):.*\n?", re.MULTILINE)
# What changes how long, how fast or under which name something is learned, but not what.
_NOT_COMPARED = {
    "seed", "iterations", "max_iterations", "threads", "device", "name", "description", "expected", "run_name",
    "logger", "save_interval", "keep_checkpoints", "eval_interval", "eval_episodes", "fast_path", "torch_compile_mode",
    "teacher_checkpoint", "experiment_name", "resume", "load_run", "load_checkpoint", "wandb_project",
    "neptune_project", "grad_reduce_bucket_mb",
}  # fmt: skip
_MOST_DIFFERENCES = 4
_LONGEST_VALUE = 40


@dataclass
class PlottedRun:
    """One run of any program."""

    folder: Path
    history: History
    config: dict[str, Any] | None
    """Every value of its configuration under its dotted key; None where there is no file."""

    @property
    def task(self) -> str:
        """What was trained; for runs of other programs the folder they lie in."""
        config = self.config or {}
        return str(config.get("name") or config.get("experiment_name") or self.folder.resolve().parent.name)

    @property
    def compared(self) -> dict[str, Any]:
        """The part of the configuration that has an influence on what is learned."""
        return {
            key: value
            for key, value in (self.config or {}).items()
            if key.startswith("env.") or key.rpartition(".")[2] not in _NOT_COMPARED
        }


@dataclass
class Group:
    """Runs that form one curve."""

    label: str
    runs: list[PlottedRun] = field(default_factory=list)


def find_runs(names: Sequence[str]) -> list[PlottedRun]:
    """Return, each once, the runs in folders of runs, of folders of runs or of event files, and those of tasks."""
    folders: dict[Path, Path] = {}
    for name in names:
        places = (Path(name), RUNS / name, RUNS / filed_as(name))
        place = next((place for place in places if place.exists()), places[-1])
        found = _run_folders(place.parent if place.is_file() else place)
        if not found:
            known = sorted(folder.name for folder in RUNS.glob("*") if folder.is_dir())
            raise FileNotFoundError(
                f"'{name}' is not a run and holds none: no folder with {FILE_NAME} or TensorBoard's {EVENTS}. "
                f"Tasks with runs under '{RUNS}': {listed(known)}."
            )
        for folder in found:
            folders.setdefault(folder.resolve(), folder)
    return [PlottedRun(folder, read_history(folder), read_flat_config(folder)) for folder in folders.values()]


def _run_folders(place: Path) -> list[Path]:
    """Return the folders with numbers at or below a place; what lies within a run belongs to it."""
    if (place / FILE_NAME).is_file() or any(place.glob(EVENTS)):
        return [place]
    if any((place / config).is_file() for config in _CONFIGS):
        return [place] if any(place.rglob(EVENTS)) else []
    inner = sorted(folder for folder in place.glob("*") if folder.is_dir() and not folder.name.startswith("."))
    return [found for folder in inner for found in _run_folders(folder)]


def read_flat_config(folder: Path) -> dict[str, Any] | None:
    """Return a run's configuration under dotted keys; None where there is none that can be read."""
    for name in _CONFIGS:
        try:
            document = read_yaml(folder / name)
            if not isinstance(document, Mapping):
                raise ValueError(f"'{folder / name}' holds no configuration.")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            warnings.warn(f"The run '{folder}' is drawn without its configuration. {error}", stacklevel=2)
            continue
        flat = flattened(document)
        with contextlib.suppress(OSError):
            text = (folder / _ENVIRONMENT).read_text(encoding="utf-8", errors="replace")
            flat |= _flat_environment(_NOT_OF_ENVIRONMENT.sub("", text))
        return flat
    return None


@lru_cache  # these files are long, and those of several seeds are the same
def _flat_environment(text: str) -> dict[str, Any]:
    """Return an environment's configuration under keys that begin with ``env``."""
    with contextlib.suppress(ValueError):  # it holds Python objects
        document = parse_yaml_text(text)
        if isinstance(document, Mapping):
            return flattened(document, "env.")
    return {"env_file": hashlib.sha256(text.encode()).hexdigest()[:8]}


def grouped(runs: Sequence[PlottedRun], rules: Sequence[str]) -> list[Group]:
    """Return the curves to draw, in the order of their first runs.

    Args:
        runs: The runs.
        rules: ``("auto",)``: runs whose configuration differs in nothing but the seed form a curve, and a run without
            configuration is one of its own. ``("task",)``: the runs of a task. ``("none",)``: each run. Otherwise texts
            ``label=pattern``: the runs whose folder fits the pattern; what fits none is left out.
    """
    if list(rules) in (["none"], ["auto"], ["task"]):
        by_key: dict[Any, Group] = {}
        for run in runs:
            known = run.folder if run.config is None else repr((run.task, sorted(run.compared.items(), key=str)))
            key = {"none": run.folder, "auto": known, "task": run.task}[rules[0]]
            by_key.setdefault(key, Group(run.task)).runs.append(run)
        found = list(by_key.values())
        return found if rules[0] == "task" else _labelled(found, is_single=rules[0] == "none")
    groups = []
    for rule in rules:
        label, separator, pattern = rule.partition("=")
        if not separator or not label or not pattern:
            raise ValueError(f"'--group {rule}' is neither auto, task or none, nor of the form LABEL=PATTERN.")
        fitting = [run for run in runs if fits(run.folder, pattern)]
        if not fitting:
            raise ValueError(f"No run fits '{pattern}'. Runs: {listed(run.folder for run in runs)}.")
        groups.append(Group(label, fitting))
    return groups


def fits(folder: Path, pattern: str) -> bool:
    """Return whether a pattern of a shell describes a folder: its name, its path, or the end of its path."""
    path = folder.as_posix()
    return any(fnmatch.fnmatch(text, form) for text in (folder.name, path) for form in (pattern, f"*/{pattern}"))


def _labelled(groups: list[Group], is_single: bool = False) -> list[Group]:
    """Name every group by what makes it different from the others."""
    tasks = {group.runs[0].task for group in groups}
    for group in groups:
        first = group.runs[0]
        if first.config is None:
            group.label = _place(first.folder)
            continue
        rivals = [other.runs[0] for other in groups if other.runs[0].config and other.runs[0].task == first.task]
        parts = [first.task] if len(tasks) > 1 or len(rivals) == 1 else []
        group.label = ", ".join(parts + _differences(first, rivals, is_single)) or first.task
    labels = [group.label for group in groups]
    for group in groups:
        if labels.count(group.label) > 1:
            group.label = f"{group.label} ({_place(group.runs[0].folder)})"
    return groups


def _differences(run: PlottedRun, rivals: Sequence[PlottedRun], is_single: bool) -> list[str]:
    """Return ``key=value`` for what a run has otherwise than the runs that it is compared with."""
    keys = list(dict.fromkeys(key for rival in rivals for key in rival.compared))
    if is_single and len({_value(rival, "seed") for rival in rivals}) > 1:
        keys.append("seed")
    keys = [key for key in keys if len({_value(rival, key) for rival in rivals}) > 1]
    last_parts = [key.rpartition(".")[2] for key in keys]
    texts = []
    for key in keys[:_MOST_DIFFERENCES]:
        *_, above, last = ["", *key.split(".")]
        name = last if last_parts.count(last) == 1 else f"{above}.{last}"
        value = (run.config or {}).get(key)
        text = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        texts.append(f"{name}={text if len(text) <= _LONGEST_VALUE else f'{text[:_LONGEST_VALUE]}...'}")
    return [*texts, *(["..."] if len(keys) > _MOST_DIFFERENCES else [])]


def _value(run: PlottedRun, key: str) -> str:
    return repr((run.config or {}).get(key))


def _place(folder: Path) -> str:
    """Return the last two parts of a path: runs of one program often have the same names."""
    return "/".join(folder.resolve().parts[-2:])
