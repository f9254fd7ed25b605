# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a task takes over from its environment, its teacher and the folder it is started in."""

from __future__ import annotations

import dataclasses
import os
import warnings
from typing import TYPE_CHECKING

from rsl_rl.cli.run_folder import Run
from rsl_rl.compat.configurations import default_sets
from rsl_rl.config.task import TaskConfig
from rsl_rl.utils import listed

if TYPE_CHECKING:  # What needs torch is imported where it is used: a mistake in the arguments is reported before.
    from rsl_rl.env import VecEnv


def with_observation_groups(task: TaskConfig, env: VecEnv) -> TaskConfig:
    """Say what both models see where the task does not: what the runner would take, else everything."""
    if task.runner.obs_groups:
        return task
    groups = [str(group) for group in env.get_observations().keys()]  # noqa: SIM118 (a TensorDict)
    roles = ("actor", "critic") if task.runner.student is None else ("student", "teacher")
    sets = dict.fromkeys(roles, groups)
    if {roles[0], "policy"} & set(groups):
        sets = default_sets(roles, groups)
    elif len(groups) > 1:
        warnings.warn(
            f"'obs_groups' is not set, and there is neither a group '{roles[0]}' nor 'policy': {' and '.join(roles)} "
            f"see all groups: {listed(groups)}. For another choice: --runner.obs-groups.{roles[0]} GROUP ...",
            stacklevel=2,
        )
    runner = dataclasses.replace(task.runner, obs_groups=sets)
    return dataclasses.replace(task, runner=runner)


def with_absolute_paths(task: TaskConfig) -> TaskConfig:
    """Return a task whose checkpoints, and whose own file, are found from any folder."""
    scheme, _, place = task.env.partition(":")
    if scheme == "mujoco" and place.partition(":")[0].endswith(".py"):
        task = dataclasses.replace(task, env=f"mujoco:{os.path.abspath(os.path.expanduser(place))}")
    checkpoint, teacher = (
        None if path is None else os.path.abspath(os.path.expanduser(path))
        for path in (task.checkpoint, task.runner.teacher_checkpoint)
    )
    runner = dataclasses.replace(task.runner, teacher_checkpoint=teacher)
    return dataclasses.replace(task, runner=runner, checkpoint=checkpoint)


def with_teacher(task: TaskConfig, run: Run, trust: bool = False) -> TaskConfig:
    """Let a student learn from the policy of a run: its model, what it sees, and its checkpoint."""
    if task.runner.student is None:
        raise ValueError(f"'{task.name}' takes no teacher: it has no section 'student'.")
    taught = run.task(trust).runner
    name = "actor" if taught.student is None else "student"
    runner = dataclasses.replace(
        task.runner,
        teacher=getattr(taught, name),
        teacher_checkpoint=str(run.checkpoint()),
        obs_groups={**task.runner.obs_groups, "teacher": taught.obs_groups[name]},
    )
    return dataclasses.replace(task, runner=runner)
