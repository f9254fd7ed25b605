# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl tasks``."""

from __future__ import annotations

import tyro

from rsl_rl.config.task import DEFAULT_TASK, read_document, task_file, task_names


def run(arguments: list[str]) -> None:
    """List the tasks that come with the library."""
    tyro.cli(_tasks, args=arguments, prog="rsl-rl tasks")


def _tasks() -> None:
    """List the tasks that come with the library."""
    for name in task_names():
        task = read_document(task_file(name) or name)
        default = " (default)" if name == DEFAULT_TASK else ""
        print(f"{name}{default}\n  {task['description']}\n  {task['env']}\n  expected: {task['expected']}\n")
    print("Train one with: rsl-rl train TASK")
