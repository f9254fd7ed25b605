# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A sweep as a YAML file: what is varied, how often, and what counts."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rsl_rl.cli.own_runs import check_given, check_stranger, is_own
from rsl_rl.cli.run_folder import RUNS
from rsl_rl.config.options import check_type
from rsl_rl.config.task import Check, filed_as, read_document
from rsl_rl.telemetry.plain_values import flattened
from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.ranges import Count, Seed
from rsl_rl.utils.trust import never_import_from
from rsl_rl.utils.yaml_text import parse_yaml_text, read_yaml, yaml_file

SWEEPS = RUNS / "sweeps"
FILE = "sweep.yaml"


@dataclass(frozen=True)
class Sweep:
    """A search for better values of a task."""

    task: str
    """A task's name, its YAML file, or an environment."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """By the value's place in the task: {low, high, log, step} or {choices}."""
    name: str = ""
    trials: Count = 20
    metric: str = "Train/mean_reward"
    direction: Literal["maximize", "minimize"] = "maximize"
    overrides: dict[str, Any] = field(default_factory=dict)
    """By its place a value of the task that all trials share."""
    sampler: str | dict[str, Any] = "tpe"
    pruner: str | dict[str, Any] = "median"
    seeds: list[Seed] = field(default_factory=list)

    def check_same(self, study: Any, document: Mapping[str, Any]) -> None:
        """Note in a new study what it is about, with the task; refuse an old one whose results cannot be compared."""
        mine = {
            "task": dict(document),
            "parameters": self.parameters,
            "metric": self.metric,
            "direction": self.direction,
            "seeds": list(self.seeds),
        }
        if (theirs := study.user_attrs.get("sweep")) is None:
            study.set_user_attr("sweep", mine)
            return
        ours, others = flattened(mine), flattened(theirs)
        different = [name for name in dict.fromkeys([*ours, *others]) if ours.get(name) != others.get(name)]
        different = [name for name in different if not name.startswith(("task.name", "task.desc"))]
        if different:
            raise ValueError(
                f"The sweep '{self.name}' was begun with other settings: {listed(different[:5])}. Its trials cannot be "
                f"compared with new ones. Choose another --name, or go on as it was: rsl-rl sweep {SWEEPS / self.name}"
            )


def read_sweep(what: str, trust: bool = False) -> Sweep:
    """Return a sweep by its file, its folder or its name, or one of a task, of which nothing is varied yet."""
    path, given = Path(what), partial(check_given, trust)
    if (file := _file_in_folder(what)) is not None:
        never_import_from(file.parent)
        return _read(file, file.parent.resolve().name, partial(check_stranger, trust, trains=True))
    if path.is_dir():
        raise ValueError(f"'{what}' is not a sweep: it holds no {FILE}.")
    if path.suffix in (".yaml", ".yml") and path.is_file():
        document = read_yaml(path)
        if not isinstance(document, Mapping) or "runner" not in document:
            return _read(path, path.stem, given)
        return Sweep(task=what, name=read_document(path).get("name", path.stem))
    return Sweep(task=what)


def check_of_task(what: str, trust: bool) -> Check:
    """Return what looks at the file of a sweep's task: that of a stranger's sweep is a stranger's, wherever it lies."""
    file = _file_in_folder(what)
    is_given = file is None or is_own(yaml_file(file)[0])
    return partial(check_given, trust) if is_given else partial(check_stranger, trust, trains=True)


def _file_in_folder(what: str) -> Path | None:
    return next((folder / FILE for folder in (Path(what), SWEEPS / what) if (folder / FILE).is_file()), None)


def _read(path: Path, name: str, check: Check) -> Sweep:
    text, document = yaml_file(path)
    check(path, text, document)
    types = typing.get_type_hints(Sweep, include_extras=True)
    if not isinstance(document, Mapping) or "task" not in document:
        raise ValueError(f"'{path}' is not a sweep: it needs the keys 'task' and 'parameters'.")
    for key, value in document.items():
        if key not in types:
            raise ValueError(f"'{path}' has an unknown key '{key}'.{did_you_mean(key, types)} Keys: {listed(types)}.")
        check_type(value, types[key], key)
    return Sweep(**{"name": name, **document})


def changed_by(sweep: Sweep, parameters: Mapping[str, Any], chosen: Any) -> Sweep:
    """Return a sweep with what the command line says otherwise."""
    names = ("name", "trials", "metric", "direction", "seeds", "sampler", "pruner")
    given = {name: getattr(chosen, name) for name in names if getattr(chosen, name) not in (None, ())}
    for name in ("sampler", "pruner"):
        if name in given:
            given[name] = parse_yaml_text(given[name])
    given["seeds"] = list(given.get("seeds", sweep.seeds))
    given["name"] = given.get("name") or sweep.name or filed_as(re.sub(r"[^\w.-]", "-", sweep.task))
    given["parameters"] = {**sweep.parameters, **parameters}
    given["overrides"] = sweep.overrides | {name.replace("-", "_"): value for name, value in chosen.overrides.items()}
    if given["name"] != filed_as(given["name"]):
        raise ValueError(
            f"'{given['name']}' is not a valid folder name: use letters, digits, '.', '_' and '-', for example "
            f"'{filed_as(given['name'])}'."
        )
    return dataclasses.replace(sweep, **given)
