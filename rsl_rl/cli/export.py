# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.export_record import outcome, record_check
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.play import load_runner
from rsl_rl.cli.run_folder import EXPORTS, Run


@dataclass(frozen=True)
class ExportArguments:
    """Write a trained policy as files that run without this library, and check them against it."""

    run: Annotated[str, tyro.conf.Positional]
    """A run's folder, a checkpoint in it, or a task's name for its newest run."""
    formats: tuple[Literal["onnx", "torchscript", "pt2"], ...] = ("onnx", "torchscript", "pt2")
    """What to write."""
    output: Path | None = None
    """Folder of the files; the run's own exports/ if left out."""
    trust: bool = False
    """Import and execute code outside this library that a stranger's run names."""


def run(arguments: list[str]) -> None:
    """Export the policy of a run."""
    chosen = parsed(ExportArguments, arguments, prog="rsl-rl export")
    with user_errors():
        found = Run(chosen.run)
        task = found.task(chosen.trust)
        from rsl_rl.env import make_env
        from rsl_rl.export import EXPORTERS, deployment_entries

        env = make_env(task.env, num_envs=1, seed=task.seed, **task.env_options)
        checkpoint = found.checkpoint()
        policy = load_runner(task, env, checkpoint).get_inference_policy()
        deployment = deployment_entries(env, policy, found.folder)
        for name in chosen.formats:
            write, file = EXPORTERS[name]
            try:
                report = write(policy, (chosen.output or found.folder / EXPORTS) / file, deployment=deployment)
            except RuntimeError as error:
                raise UserError(str(error)) from error
            if chosen.output is None:
                record_check(report, checkpoint.name)
            print(f"{report.path} ({outcome(report)})")
