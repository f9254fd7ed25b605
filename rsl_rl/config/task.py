# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks: an environment with the configuration that trains it, as a YAML file."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsl_rl.config.options import check_options, check_type, resolve_runner_config
from rsl_rl.config.schema import RunnerConfig, schema_of
from rsl_rl.utils import did_you_mean, listed, resolve_callable
from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.option_values import plain
from rsl_rl.utils.ranges import Count, Seed, Threads
from rsl_rl.utils.yaml_text import as_yaml, yaml_file

DEFAULT_TASK = "go1-walk"
Check = Callable[[Path, str, Any], None]
"""Takes a file, its text and what that stands for; raises where it is not to be used."""
_PRESETS = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class TaskConfig:
    """What to train, and how."""

    env: str
    """Environment: mujoco:TASK, envpool:ID, gym:ID or package.module:factory."""
    runner: RunnerConfig
    """How it is trained."""
    num_envs: Count = 64
    """Environments that are simulated at once."""
    iterations: Count = 500
    """Rollouts to collect and learn from."""
    seed: Seed = 1
    """Seed of everything; the same seed gives the same run."""
    device: str = "cpu"
    """Where to learn: cpu, cuda:0 ..."""
    threads: Threads = 1
    """CPU threads for learning; beside a simulator's the policy acts on one. To repeat a run, keep this number."""
    env_options: dict[str, Any] = field(default_factory=dict)
    """Options of the environment."""
    eval_env_options: dict[str, Any] = field(default_factory=dict)
    """What is different of them where the policy is evaluated or played."""
    init_at_random_ep_len: bool = False
    """Let the first episodes time out at different moments, so that later ones do not end all at once."""
    eval_interval: Count | None = None
    """Play the policy without exploration in iterations 0, N, 2 N ... and the last one, in separate environments;
    best.pt then is the checkpoint with the highest return there. None to evaluate nothing."""
    eval_episodes: Count = 16
    """Episodes of each of these evaluations."""
    eval_num_envs: Count | None = None
    """Environments of these evaluations; None for one per episode, 64 at most."""
    checkpoint: str | None = None
    """Start from the models and the optimizer of this checkpoint; None to start from the beginning."""
    name: str = "custom"
    """Name of the task; runs are filed under it."""
    description: str = ""
    """What is learned."""
    expected: str = ""
    """What a run is known to reach."""


def judged_options(task: TaskConfig) -> dict[str, Any]:
    """Return the options of the environment that a policy is evaluated or played in."""
    return {**task.env_options, **task.eval_env_options}


def filed_as(name: str) -> str:
    """Return the name of a folder or file for any name: of one that is plain already, itself.

    It stays where it is put: no ``..``, no separators, nothing hidden, no device of Windows, at most 100 bytes.
    """
    plain = re.sub(r"[^\w.-]+", "-", name).encode()[:100].decode(errors="ignore").lstrip(".-").rstrip(".")
    is_device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", plain, re.IGNORECASE)
    return f"of-{plain}" if is_device else plain or "unnamed"


def task_names() -> list[str]:
    """Return the names of the tasks that come with the library."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def task_file(name: str) -> Path | None:
    """Return the file of a task by what a user calls it; None for an environment, which needs none.

    Raises:
        ValueError: There is no such task; names near matches.
        FileNotFoundError: There is no such file.
    """
    if name in task_names():
        return _PRESETS / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise FileNotFoundError(f"There is no file '{name}'.")
        return Path(name)
    if ":" in name:
        return None
    raise ValueError(
        f"There is no task '{name}'.{did_you_mean(name, task_names())} Tasks: {listed(task_names())}. A YAML file or "
        "an environment such as 'gym:Ant-v5' can be given instead."
    )


def load_task(name: str, check: Check | None = None) -> TaskConfig:
    """Return a task by what a user calls it.

    Args:
        name: A preset, a YAML file, or an environment (which is trained with default settings).
        check: Looks at a file before anything that it names is imported.

    Raises:
        ValueError: There is no such task, or the file is wrong; says what and where.
        TypeError: A value has the wrong type.
        FileNotFoundError: There is no such file.
    """
    if (path := task_file(name)) is not None:
        return read_task(path, check if name.endswith((".yaml", ".yml")) else None)
    # Nothing is known about the scale of its observations.
    critic = schema_of("MLPModel")(obs_normalization=True)
    actor = dataclasses.replace(critic, distribution_cfg=schema_of("GaussianDistribution")())
    runner = RunnerConfig(num_steps_per_env=24, save_interval=50, actor=actor, critic=critic)
    return TaskConfig(env=name, name=filed_as(name), runner=runner)


def read_task(path: str | os.PathLike[str], check: Check | None = None) -> TaskConfig:
    """Read a task from a YAML file: ``runner`` in the layout of the runners, beside it the fields of the task.

    A file may also hold nothing but what a runner takes, now or in an earlier release. ``check`` is called before
    anything that the file names is imported.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a YAML file, a key is unknown or missing.
        TypeError: A value has the wrong type.
    """
    path = Path(path)
    document = read_document(path, check)
    # Without any, the observation sets are filled when the environment is known.
    section = resolve_runner_config({"obs_groups": {}, **document["runner"]})
    for part in ("algorithm", "actor", "critic", "student", "teacher"):
        if isinstance(section.get(part), Mapping):
            section[part] = _checked_section(section[part], part)
    values: dict[str, Any] = {**document, "runner": RunnerConfig.from_dict(section)}
    # Files of runners keep these in the runner's section.
    for key, name_there in (("iterations", "max_iterations"), ("seed", "seed")):
        if key not in values and name_there in section:
            values[key] = plain(section[name_there], _types()[key])
            check_type(values[key], _types()[key], f"runner.{name_there}")
    # An environment may still be named on the command line.
    return TaskConfig(**{"name": path.stem, "env": "", **values})


def read_document(path: str | os.PathLike[str], check: Check | None = None) -> dict[str, Any]:
    """Return what a task's file holds, without a look into its section ``runner``; raises as :func:`read_task`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    text, document = yaml_file(path)
    if check is not None:
        check(path, text, document)
    if isinstance(document, Mapping) and {"algorithm", "policy"} & set(document):
        document = {"runner": document}
    if not isinstance(document, Mapping) or not isinstance(document.get("runner"), Mapping):
        raise ValueError(f"'{path}' is not a task: it needs a section 'runner' at the top.")
    document = {key: plain(value, _types().get(key, Any)) for key, value in document.items()}
    for key, value in document.items():
        if key not in _types():
            hint = did_you_mean(key, _types())
            raise ValueError(f"'{path}' has an unknown key '{key}'.{hint} Keys: {listed(_types())}.")
        if key != "runner":
            check_type(value, _types()[key], key)
    return document


def task_text(task: TaskConfig) -> str:
    """Return a task as the text that :func:`read_task` reads; yaml.YAMLError if it holds what YAML cannot."""
    return as_yaml(dataclasses.asdict(task) | {"runner": task.runner.to_dict()}, strict=True)


def write_task(task: TaskConfig, path: str | os.PathLike[str]) -> None:
    """Write a task so that :func:`read_task` gives it back; yaml.YAMLError if it holds what YAML cannot."""
    write_whole(path, task_text(task))


@functools.cache
def _types() -> dict[str, Any]:
    return typing.get_type_hints(TaskConfig, include_extras=True)


def _checked_section(section: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "class_name" not in section:
        raise ValueError(f"The section '{where}' names no class: the key 'class_name' is missing.")
    options = {key: value for key, value in section.items() if key != "class_name"}
    options = check_options(resolve_callable(section["class_name"]), options, where)
    for key, value in options.items():
        if isinstance(value, Mapping) and "class_name" in value:
            options[key] = _checked_section(value, f"{where}.{key}")
    return {"class_name": section["class_name"], **options}
