# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a sweep varies: values of a task by their place in it, checked before anything is trained."""

from __future__ import annotations

import copy
import json
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsl_rl.config.schema import CONFIGURABLE
from rsl_rl.config.task import TaskConfig, read_task, task_text
from rsl_rl.telemetry.plain_values import flattened
from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.yaml_text import as_yaml, parse_yaml_text

_KEYS = ("low", "high", "log", "step", "choices")
_FORMS = "low..high, log:low..high or a,b,c"


@dataclass(frozen=True)
class Parameter:
    """A range of numbers, or a list of choices."""

    name: str
    """Place in the task, e.g. ``"runner.algorithm.learning_rate"``."""
    choices: tuple[Any, ...] = field(default=(), hash=False)
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    is_integer: bool = False

    @property
    def labels(self) -> list[Any]:
        """The choices as a database keeps them."""
        return [label_of(choice) for choice in self.choices]

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of those that are tried."""
        if self.choices:
            return value in self.choices
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        steps = (value - self.low) / self.step if is_number and self.step else 0
        return is_number and self.low <= value <= self.high and steps == int(steps)

    def suggest(self, trial: Any) -> Any:
        """Return the value that an Optuna trial takes."""
        if self.choices:
            return self.value_of(trial.suggest_categorical(self.name, self.labels))
        if self.is_integer:
            return trial.suggest_int(self.name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def value_of(self, suggested: Any) -> Any:
        """Return what the task takes for what the database keeps."""
        return self.choices[self.labels.index(suggested)] if self.choices else suggested


def label_of(choice: Any) -> Any:
    """Return what a database keeps for a value: numbers and text as they are, for lists their text."""
    return choice if choice is None or isinstance(choice, (bool, int, float, str)) else json.dumps(choice)


def parse_option(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name in ``NAME=low..high``, ``NAME=log:low..high`` or ``NAME=a,b,c``, and what a file has for it."""
    name, separator, values = text.partition("=")
    if not separator or not name or not values:
        raise ValueError(f"'{text}' is not a parameter: write NAME=VALUES, with VALUES as {_FORMS}.")
    name = name.strip().replace("-", "_")
    try:
        low, is_range, high = values.removeprefix("log:").partition("..")
        if is_range:
            log = values.startswith("log:")
            return name, {"low": parse_yaml_text(low), "high": parse_yaml_text(high), "log": log}
        return name, {"choices": parse_yaml_text(f"[{values}]")}
    except ValueError as error:
        raise ValueError(f"The values of '{name}' cannot be read ({error}): write {_FORMS}.") from error


def checked_parameters(sections: Mapping[str, Any], document: Mapping[str, Any]) -> list[Parameter]:
    """Return a sweep's parameters, once each fits the task with each choice and at both ends of its range."""
    if not sections:
        raise ValueError(
            f"There is nothing to vary: name parameters in the sweep's file, or with --param NAME=VALUES ({_FORMS})."
        )
    return [_checked(name, section, document) for name, section in sections.items()]


def _checked(name: str, section: Any, document: Mapping[str, Any]) -> Parameter:
    place = f"The parameter '{name}'"
    if name in ("seed", "name", "device"):
        instead = {"seed": ": give 'seeds'", "device": ": give --devices"}.get(name, "")
        raise ValueError(f"'{name}' cannot be a parameter of a sweep{instead}.")
    check_name(name, document)
    if not isinstance(section, Mapping):
        raise ValueError(f"{place} needs {{low: ..., high: ...}} or {{choices: [...]}}, got {section!r}.")
    for key in section:
        if key not in _KEYS:
            raise ValueError(f"{place} has an unknown key '{key}'.{did_you_mean(key, _KEYS)} Keys: {listed(_KEYS)}.")
    if ("choices" in section) == ("low" in section or "high" in section):
        raise ValueError(f"{place} needs either 'low' and 'high' or 'choices'.")
    if "choices" in section:
        choices = section["choices"]
        if not isinstance(choices, (list, tuple)) or len(choices) < 2:
            raise ValueError(f"{place} needs a list of at least two choices, got {choices!r}.")
        parameter = Parameter(name, choices=tuple(choices))
    else:
        parameter = _range(name, section, document)
    for value in parameter.choices or (parameter.low, parameter.high):
        if error := _refusal(name, value, document):
            raise type(error)(f"{place} cannot be {value!r}: {error}") from error
    return parameter


def _range(name: str, section: Mapping[str, Any], document: Mapping[str, Any]) -> Parameter:
    place = f"The parameter '{name}'"
    numbers: dict[str, Any] = {key: section.get(key) for key in ("low", "high", "step")}
    for key, value in numbers.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number and (key, value) != ("step", None):
            raise ValueError(f"{place} needs a number as '{key}', got {value!r}.")
    low, high, step = numbers.values()
    log = section.get("log") or False
    if not low < high:
        raise ValueError(f"{place} has no range: 'low' is {low!r}, 'high' is {high!r}.")
    if not isinstance(log, bool) or (log and (low <= 0 or step is not None)):
        raise ValueError(f"{place}: 'log' is true or false, and a logarithmic range is positive and has no 'step'.")
    is_integer = not any(isinstance(value, float) for value in numbers.values())
    if is_integer and not name.startswith("env_options.") and _refusal(name, low + 0.5, document) is None:
        # {low: 0, high: 1} for a number such as entropy_coef: all between.
        is_integer = isinstance(step, int)
    if not is_integer:
        numbers = {key: value if value is None else float(value) for key, value in numbers.items()}
    return Parameter(name, log=log, is_integer=is_integer, **numbers)


def _refusal(name: str, value: Any, document: Mapping[str, Any]) -> ValueError | TypeError | None:
    """Return why the task does not take this value, None where it does."""
    try:
        task_of(with_values(document, {name: value}))
    except (ValueError, TypeError) as error:
        return error
    return None


def check_name(name: str, document: Mapping[str, Any]) -> None:
    """Raise ValueError unless a task has a value of this name; says what was probably meant."""
    section: Any = document
    *parents, last = name.split(".")
    for depth, key in enumerate([*parents, last]):
        if isinstance(section, Mapping) and key in section:
            section = section[key]
            continue
        within = ".".join(parents[:depth])
        is_last = depth == len(parents)
        if is_last and isinstance(section, Mapping):
            is_known = within == "runner" or section.get("class_name") in CONFIGURABLE
            if within == "env_options" or ("class_name" in section and not is_known):
                return  # Of a user's own class, which says itself whether it takes this.
        elif section is None:
            raise ValueError(
                f"The task has no '{name}': '{within}' is not set in it. Set it in the task's file, or as an override."
            )
        known = [leaf for leaf in flattened(document) if leaf.rpartition(".")[2] != "class_name"]
        same = [leaf for leaf in known if leaf.rpartition(".")[2] == last]
        hint = f" Did you mean {' or '.join(map(repr, same[:3]))}?" if same else did_you_mean(name, known)
        raise ValueError(f"The task has no '{name}'.{hint} Its values are those of: rsl-rl train TASK --help")


def with_values(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a task's document with other values, each under its name."""
    changed = copy.deepcopy(dict(document))
    for name, value in values.items():
        *parents, last = name.split(".")
        section = changed
        for parent in parents:
            section = section[parent]
        section[last] = value
    return changed


def value_at(document: Mapping[str, Any], name: str) -> Any:
    """Return the value of this name, None where there is none."""
    section: Any = document
    for key in name.split("."):
        section = section.get(key) if isinstance(section, Mapping) else None
    return section


def task_document(task: TaskConfig) -> dict[str, Any]:
    """Return a task as plain data, as its file has it."""
    return parse_yaml_text(task_text(task))


def task_of(document: Mapping[str, Any]) -> TaskConfig:
    """Return the task that plain data stand for; a ValueError or TypeError says where they are wrong."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What there is to say was said when the task was read first.
        path = Path(folder) / "task.yaml"
        path.write_text(as_yaml(document), encoding="utf-8")
        return read_task(path)
