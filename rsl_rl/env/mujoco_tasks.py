# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""From the name of a MuJoCo task to its environment."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from rsl_rl.env.mujoco import MujocoTask, MujocoVecEnv
from rsl_rl.utils import did_you_mean, listed, resolve_callable
from rsl_rl.utils.option_types import check_type
from rsl_rl.utils.ranges import Threads
from rsl_rl.utils.trust import check_file

TASKS = {"go1-walk": "rsl_rl.robots.go1_walk:Go1Walk"}
"""Tasks that come with the library, by name."""


def make_mujoco(identifier: str, num_envs: int, seed: int, device: str, options: dict[str, Any]) -> MujocoVecEnv:
    """Make the environment of a task.

    Args:
        identifier: One of :data:`TASKS`, ``file.py:Class`` or ``package.module:Class``.
        num_envs: Number of robots.
        seed: Of everything that is random.
        device: Where observations, rewards and dones go.
        options: Of the task; ``num_threads`` is the number of threads that simulate (0: one a core).

    Raises:
        ValueError, TypeError: There is no such task, or an option does not fit; says what does.
        ImportError: Its file cannot be imported.
    """
    cfg = {"env": f"mujoco:{identifier}", "num_envs": num_envs, "seed": seed, **options}
    # Pictures are drawn when they are asked for, in one way.
    num_threads = options.get("num_threads", 0)
    check_type(num_threads, Threads, "num_threads")
    given = {name: value for name, value in options.items() if name not in ("num_threads", "render_mode")}
    task = task_class(identifier)(**given)
    return MujocoVecEnv(task, num_envs, seed, device, num_threads, cfg)


def task_class(identifier: str) -> type[MujocoTask]:
    """Return the class of a task by its name or place; raises as :func:`make_mujoco`."""
    place, _, name = identifier.rpartition(":")
    if place.endswith(".py"):
        found = getattr(_module(Path(place).expanduser()), name, None)
    elif identifier in TASKS or place:
        found = resolve_callable(TASKS.get(identifier, identifier))
    else:
        raise ValueError(
            f"There is no task 'mujoco:{identifier}'.{did_you_mean(identifier, TASKS)} Tasks: {listed(TASKS)}. Your "
            "own is 'mujoco:file.py:Class' or 'mujoco:package.module:Class'."
        )
    if not (inspect.isclass(found) and issubclass(found, MujocoTask)):
        raise ValueError(f"'mujoco:{identifier}' is no task: it has to name a subclass of MujocoTask.")
    return found


def _module(file: Path) -> Any:
    """Import a file by its place, once."""
    if not file.is_file():
        raise ValueError(f"There is no file '{file}'.")
    check_file(file)
    name = f"mujoco_task:{file.resolve()}"
    if name not in sys.modules:
        spec: Any = importlib.util.spec_from_file_location(name, file)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]
