# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Tasks: an environment with the configuration that trains it, as a YAML file."""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsl_rl.config.options import check_options, check_type, resolve_runner_config
from rsl_rl.config.schema import RunnerConfig, schema_of
from rsl_rl.utils import did_you_mean, listed, resolve_callable

DEFAULT_TASK = "go1-walk"
_PRESETS = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class TaskConfig:
    """What to train, and how."""

    env: str
    """Environment: envpool:ID, gym:ID or package.module:factory."""
    runner: RunnerConfig
    """How it is trained."""
    num_envs: int = 64
    """Environments that are simulated at once."""
    iterations: int = 500
    """Rollouts to collect and learn from."""
    seed: int = 1
    """Seed of everything; the same seed gives the same run."""
    device: str = "cpu"
    """Where to learn: cpu, cuda:0 ..."""
    threads: int = 1
    """CPU threads for learning; beside EnvPool's own the policy acts on one. Part of what makes a run repeatable."""
    env_options: dict[str, Any] = field(default_factory=dict)
    """Options of the environment."""
    init_at_random_ep_len: bool = False
    """Let the first episodes time out at different moments, so that later ones do not end all at once."""
    eval_interval: int | None = None
    """Play the policy without exploration in iterations 0, N, 2 N ... and the last one, in environments of its own;
    best.pt then is the checkpoint with the highest return there. None to evaluate nothing."""
    eval_episodes: int = 16
    """Episodes of each of these evaluations."""
    eval_num_envs: int | None = None
    """Environments of these evaluations; None for one per episode, 64 at most."""
    name: str = "custom"
    """Name of the task; runs are filed under it."""
    description: str = ""
    """What is learned."""
    expected: str = ""
    """What a run is known to reach."""


def filed_as(name: str) -> str:
    """Return the name under which runs of an environment are filed."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def task_names() -> list[str]:
    """Return the names of the tasks that come with the library."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def load_task(name: str) -> TaskConfig:
    """Return a task by what a user calls it.

    Args:
        name: A preset, a YAML file, or an environment (which is trained with default settings).

    Raises:
        ValueError: There is no such task, or the file is wrong; says what and where.
        TypeError: A value has the wrong type.
        FileNotFoundError: There is no such file.
    """
    if name in task_names():
        return read_task(_PRESETS / f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        return read_task(name)
    if ":" in name:
        label = filed_as(name)
        # Nothing is known about the scale of its observations.
        distribution = schema_of("GaussianDistribution")()
        actor = schema_of("MLPModel")(obs_normalization=True, distribution_cfg=distribution)
        critic = schema_of("MLPModel")(obs_normalization=True)
        runner = RunnerConfig(num_steps_per_env=24, save_interval=50, actor=actor, critic=critic)
        return TaskConfig(env=name, name=label, runner=runner)
    hint = did_you_mean(name, task_names())
    raise ValueError(
        f"There is no task '{name}'.{hint} Tasks: {listed(task_names())}. A YAML file or an environment such as "
        "'gym:Ant-v5' can be given instead."
    )


def read_task(path: str | os.PathLike[str]) -> TaskConfig:
    """Read a task from a YAML file: ``runner`` in the layout of the runners, beside it the fields of the task.

    A file may also hold nothing but what a runner takes, now or in an earlier release.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no YAML file, a key is unknown or missing.
        TypeError: A value has the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}'.")
    document = _parse_yaml(path)
    if isinstance(document, Mapping) and {"algorithm", "policy"} & set(document):
        document = {"runner": document}
    if not isinstance(document, Mapping) or not isinstance(document.get("runner"), Mapping):
        raise ValueError(f"'{path}' is no task: it needs a section 'runner' at the top.")
    types = typing.get_type_hints(TaskConfig)
    for key, value in document.items():
        if key not in types:
            raise ValueError(f"'{path}' has an unknown key '{key}'.{did_you_mean(key, types)} Keys: {listed(types)}.")
        if key != "runner":
            check_type(value, types[key], key)
    section = _checked_runner_section(document["runner"])
    values: dict[str, Any] = {**document, "runner": RunnerConfig.from_dict(section)}
    # Files of runners keep these in the runner's section.
    for key, name_there in (("iterations", "max_iterations"), ("seed", "seed")):
        if key not in values and name_there in section:
            check_type(section[name_there], types[key], f"runner.{name_there}")
            values[key] = section[name_there]
    values.setdefault("name", path.stem)
    # An environment may still be named on the command line.
    values.setdefault("env", "")
    return TaskConfig(**values)


def write_task(task: TaskConfig, path: str | os.PathLike[str]) -> None:
    """Write a task so that :func:`read_task` gives it back."""
    import yaml

    document = _plain(dataclasses.asdict(task) | {"runner": task.runner.to_dict()})
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    Path(path).write_text(text, encoding="utf-8")


def _checked_runner_section(section: Mapping[str, Any]) -> dict[str, Any]:
    # Without any, they are filled when the environment is known.
    resolved = resolve_runner_config({"obs_groups": {}, **section})
    for part in ("algorithm", "actor", "critic", "student", "teacher"):
        if isinstance(resolved.get(part), Mapping):
            _check_section(resolved[part], part)
    return resolved


def _check_section(section: Mapping[str, Any], where: str) -> None:
    if "class_name" not in section:
        raise ValueError(f"The section '{where}' names no class: the key 'class_name' is missing.")
    options = {key: value for key, value in section.items() if key != "class_name"}
    check_options(resolve_callable(section["class_name"]), options, where)
    for key, value in options.items():
        if isinstance(value, Mapping) and "class_name" in value:
            _check_section(value, f"{where}.{key}")


def parse_yaml_text(text: str) -> Any:
    """Return what a YAML text stands for. Nothing in it is executed.

    Of the tags with which Python programs write their own objects, tuples are read as lists and names of functions and
    classes as text.

    Raises:
        ValueError: It is no YAML, or holds an object that only code could make.
        ImportError: pyyaml is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise ImportError("Reading YAML needs: pip install pyyaml") from error

    class Loader(yaml.SafeLoader):
        """Reads 1e-3 as a number, which YAML 1.1 takes for text."""

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
    Loader.add_constructor("tag:yaml.org,2002:python/tuple", Loader.construct_sequence)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
    Loader.add_multi_constructor("tag:yaml.org,2002:python/", _refuse_python_object)
    try:
        document = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (AttributeError, IndexError, KeyError) as error:  # "!!bool maybe"
        raise ValueError(f"a value does not fit its tag: {error!r}") from error
    _refuse_cycles(document, (), set())
    return document


def _refuse_cycles(value: Any, parents: tuple[int, ...], done: set[int]) -> None:
    if not isinstance(value, (Mapping, list)) or id(value) in done:
        return
    if id(value) in parents:
        raise ValueError("an alias (*) stands for something that holds it itself")
    for item in value.values() if isinstance(value, Mapping) else value:
        _refuse_cycles(item, (*parents, id(value)), done)
    done.add(id(value))


def _refuse_python_object(loader: Any, suffix: str, node: Any) -> Any:
    raise ValueError(
        f"line {node.start_mark.line + 1} holds a Python object (!!python/{suffix}), and reading that would execute "
        "code from the file. Replace it by plain numbers, text, lists and mappings."
    )


def _parse_yaml(path: Path) -> Any:
    try:
        return parse_yaml_text(path.read_text(encoding="utf-8"))
    except ValueError as error:  # a UnicodeDecodeError is one too
        raise ValueError(f"'{path}' is no readable YAML file: {error}") from error


def _plain(value: Any) -> Any:
    """Return mappings and sequences as dicts and lists, callables by their names."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return value
