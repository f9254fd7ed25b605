# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The end of a training: policy files, learning curve, and how it went."""

from __future__ import annotations

from pathlib import Path

from rsl_rl.cli.export_record import outcome, record_check
from rsl_rl.cli.main import UserError
from rsl_rl.cli.plot.figure import draw_learning_curve
from rsl_rl.cli.run_folder import EXPORTS, VIDEO
from rsl_rl.cli.viewer.viewable import is_of_mujoco
from rsl_rl.config.task import TaskConfig
from rsl_rl.export import EXPORTERS, deployment_entries
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.console import duration, number


def conclude(
    task: TaskConfig,
    runner: OnPolicyRunner,
    folder: Path,
    seconds: float,
    steps: int,
    interrupted: bool,
    export: bool,
) -> None:
    """Export the policy, unless the training was interrupted, draw the curve and say how it went.

    Seconds and environment steps are those of this training; the run may have had others before.
    """
    rewards, lengths = runner.logger.rewbuffer, runner.logger.lenbuffer
    reached = "no episode has ended yet"
    if rewards:
        reward, length = sum(rewards) / len(rewards), sum(lengths) / len(lengths)
        of = f"mean of the last {len(rewards)} episodes"
        reached = f"reward {number(reward)}, episode length {number(length, 0)} ({of})"
    verb, total = "Stopped" if interrupted else "Done", runner.logger.tot_timesteps
    in_all = "" if steps == total else f", {total:,} in all"
    lines = [
        f"{verb}: {steps:,} steps in {duration(seconds)} ({steps / seconds:,.0f} steps/s){in_all}.",
        f"  {reached}",
    ]
    try:
        curve = draw_learning_curve(folder, f"{task.name}, seed {task.seed}")
        lines.append(f"  learning curve  {curve}")
    except (ImportError, OSError, ValueError) as error:
        lines.append(f"  no learning curve: {error}")
    failure: Exception | None = None
    if interrupted:
        lines.append(f"  resume it with  rsl-rl train --resume {folder}")
    if interrupted or not export:
        lines.append(f"  policy files    rsl-rl export {folder}")
    else:
        policy = runner.get_inference_policy()
        deployment = deployment_entries(runner.env, policy, folder)
        for write, name in EXPORTERS.values():
            try:
                report = write(policy, folder / EXPORTS / name, deployment=deployment)
            except ImportError as error:
                lines.append(f"  no {name}: {error}")
            except Exception as error:  # an exporter fails in ways of its own, and the run is worth its summary
                lines.append(f"  no {name}: see below; the checkpoints are complete")
                failure = error
            else:
                record_check(report, f"model_{runner.current_learning_iteration}.pt")
                lines.append(f"  policy          {report.path} ({outcome(report)})")
    lines.append(f"  metrics         {folder / 'metrics.csv'}")
    lines.append(f"See it act: rsl-rl play {folder} --video {folder / VIDEO}")
    if is_of_mujoco(task.env):
        lines.append(f"Steer it in the browser: rsl-rl play {folder} --view")
    print("\n".join(lines), flush=True)
    if isinstance(failure, (RuntimeError, OSError)):
        raise UserError(str(failure)) from failure
    if failure is not None:
        raise failure
