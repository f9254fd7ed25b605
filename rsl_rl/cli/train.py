# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl train``."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import tyro

from rsl_rl.cli.curve import draw_learning_curve
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.options import key_value_options
from rsl_rl.cli.run_folder import CONFIG, EXPORTS, Run, new_run_folder
from rsl_rl.config.legacy import default_sets
from rsl_rl.config.task import DEFAULT_TASK, TaskConfig, load_task, parse_yaml_text, task_names, write_task
from rsl_rl.env import VecEnv, make_env
from rsl_rl.export import EXPORTERS
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.telemetry.console import duration, number
from rsl_rl.utils import listed, resolve_callable


@dataclass(frozen=True)
class TrainArguments(TaskConfig):
    """Train a task, an environment, or what a YAML file describes."""

    run_dir: Path | None = None
    """Folder of the run; a new one under runs/ if left out."""
    checkpoint: Path | None = None
    """Start from the models and the optimizer in this checkpoint."""
    teacher: str | None = None
    """For a student: the run to learn from (a folder, a checkpoint in it, or a task's name for its newest run)."""


def run(arguments: list[str]) -> None:
    """Train, export, and say how it went."""
    name = DEFAULT_TASK
    if arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
    with user_errors():
        preset = load_task(name)
    values = {field.name: getattr(preset, field.name) for field in dataclasses.fields(preset)}
    if not preset.runner.obs_groups:
        # Empty sets stand for everything that the environment gives, and make the options exist.
        values["runner"] = dataclasses.replace(preset.runner, obs_groups={"actor": [], "critic": []})
    chosen = tyro.cli(
        TrainArguments,
        args=arguments,
        default=TrainArguments(**values),
        prog=f"rsl-rl train {name}",
        description=f"Train '{name}'. Another task: rsl-rl train TASK, one of {listed(task_names())}, a YAML file, or "
        "an environment such as gym:Ant-v5.",
        config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
        registry=key_value_options(),
    )
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(TaskConfig)}
    values["env_options"] = preset.env_options | chosen.env_options
    others = preset.runner.others | chosen.runner.others
    obs_groups = chosen.runner.obs_groups
    if not preset.runner.obs_groups:
        obs_groups = {name: groups for name, groups in obs_groups.items() if groups}
    logger = chosen.runner.logger
    if isinstance(logger, str) and logger[:1] in ("[", "{"):
        with user_errors():
            logger = parse_yaml_text(logger)
    values["runner"] = dataclasses.replace(chosen.runner, others=others, obs_groups=obs_groups, logger=logger)
    task = TaskConfig(**values)
    if chosen.teacher is not None:
        with user_errors():
            task = with_teacher(task, Run(chosen.teacher))
    train(task, chosen.run_dir, chosen.checkpoint)


def train(task: TaskConfig, run_dir: Path | None = None, checkpoint: Path | None = None) -> Path:
    """Train a task.

    Args:
        task: What to train.
        run_dir: Folder of the run; None for a new one.
        checkpoint: Where to start from; None for the beginning.

    Returns:
        The run's folder.

    Raises:
        SystemExit: 130 or 143 after an interrupt or a termination, with everything saved.
        UserError: Something was given wrongly.
    """
    with StopSignals() as signals:
        runner, task, folder, seconds = _train(task, run_dir, checkpoint, signals)
    _conclude(task, runner, folder, seconds, interrupted=signals.received is not None)
    if signals.received is not None:
        raise SystemExit(128 + signals.received)
    return folder


def _train(
    task: TaskConfig, run_dir: Path | None, checkpoint: Path | None, signals: StopSignals
) -> tuple[OnPolicyRunner, TaskConfig, Path, float]:
    """Return the runner after training, the task with everything resolved, the run's folder, and the seconds."""
    seed_everything(task.seed, task.threads)
    with user_errors():
        check_device(task.device)
        if not task.env:
            raise ValueError("No environment is named: give one with --env, for example --env gym:Ant-v5.")
        if task.runner.student is not None:
            if checkpoint is None and task.runner.teacher_checkpoint is None:
                raise ValueError(f"'{task.name}' is a student and needs a teacher: add --teacher RUN.")
            if checkpoint is not None:
                # The checkpoint of a student holds its teacher.
                task = dataclasses.replace(task, runner=dataclasses.replace(task.runner, teacher_checkpoint=None))
        if task.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {task.iterations}.")
        env = make_env(
            task.env, num_envs=task.num_envs, seed=environment_seed(task.seed), device=task.device, **task.env_options
        )
        task = with_observation_groups(task, env)
        # Everything that can be wrong is found before a folder is made.
        runner = make_runner(task, env, None)
        if checkpoint is not None:
            runner.load(str(checkpoint))
        folder = new_run_folder(task, run_dir)
        write_task(task, folder / CONFIG)
    runner.logger.log_dir = str(folder)
    # The user's own project, when it is under version control.
    runner.add_git_repo_to_log(os.getcwd())
    signals.stop = runner.request_stop

    print(
        f"Training {task.name}: {task.num_envs} environments, {task.iterations} iterations, into {folder}", flush=True
    )
    started = time.perf_counter()
    try:
        with user_errors(only_ours=True):
            runner.learn(task.iterations, init_at_random_ep_len=task.init_at_random_ep_len)
    except UserError as error:
        raise UserError(f"{error}\nThe run up to then: {folder}") from error
    return runner, task, folder, time.perf_counter() - started


def check_device(device: str) -> None:
    """Raise ValueError unless this machine has the device."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"The device '{device}' cannot be used here, 'cpu' always can: {reason}") from error


def seed_everything(seed: int, threads: int) -> None:
    """Make what follows repeatable."""
    torch.set_num_threads(max(1, threads))
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def environment_seed(seed: int) -> int:
    """Return the seed of the environments.

    Environment i of many is seeded with this plus i; runs with neighbouring seeds would share most of theirs.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0]) % 2**30


def make_runner(task: TaskConfig, env: VecEnv, log_dir: str | None) -> OnPolicyRunner:
    """Build the runner that a task names."""
    runner_class: Any = resolve_callable(task.runner.class_name)
    return runner_class(env, task.runner.to_dict(), log_dir=log_dir, device=task.device)


def with_observation_groups(task: TaskConfig, env: VecEnv) -> TaskConfig:
    """Say what both models see where the task does not: what the runner would take, else everything."""
    if task.runner.obs_groups:
        return task
    groups = [str(group) for group in env.get_observations().keys()]  # noqa: SIM118 (a TensorDict)
    roles = ("actor", "critic") if task.runner.student is None else ("student", "teacher")
    sets = default_sets(roles, groups) if {roles[0], "policy"} & set(groups) else dict.fromkeys(roles, groups)
    runner = dataclasses.replace(task.runner, obs_groups=sets)
    return dataclasses.replace(task, runner=runner)


def with_teacher(task: TaskConfig, run: Run) -> TaskConfig:
    """Let a student learn from the policy of a run: its model, what it sees, and its checkpoint.

    Raises:
        FileNotFoundError: The run has no checkpoint yet.
        ValueError: The task is no student.
    """
    if task.runner.student is None:
        raise ValueError(f"'{task.name}' takes no teacher: it has no section 'student'.")
    taught = run.task().runner
    name = "actor" if taught.student is None else "student"
    runner = dataclasses.replace(
        task.runner,
        teacher=getattr(taught, name),
        teacher_checkpoint=str(run.checkpoint()),
        obs_groups={**task.runner.obs_groups, "teacher": taught.obs_groups[name]},
    )
    return dataclasses.replace(task, runner=runner)


class StopSignals:
    """Ctrl-C and SIGTERM end the run after the iteration in progress; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        """Begin to listen."""
        self.received: int | None = None
        self.stop: Any = None
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}

    def __enter__(self) -> StopSignals:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the signals to whoever handled them before."""
        for signal_number, handler in self._previous.items():
            signal.signal(signal_number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if self.stop is None:
            raise SystemExit(128 + number)
        print("\nStopping after this iteration, with a checkpoint. Ctrl-C again stops at once.", flush=True)
        self.stop()


def _conclude(task: TaskConfig, runner: OnPolicyRunner, folder: Path, seconds: float, interrupted: bool) -> None:
    """Export the policy, draw the curve and say how it went."""
    steps_per_iteration = task.num_envs * task.runner.num_steps_per_env
    rewards, lengths = runner.logger.rewbuffer, runner.logger.lenbuffer
    reached = "no episode has ended yet"
    if rewards:
        reward, length = sum(rewards) / len(rewards), sum(lengths) / len(lengths)
        reached = (
            f"reward {number(reward)}, episode length {number(length, 0)} (mean of the last {len(rewards)} episodes)"
        )
    lines = [
        f"{'Stopped' if interrupted else 'Done'}: {runner.logger.tot_timesteps:,} steps in {duration(seconds)} "
        f"({runner.logger.tot_timesteps / seconds:,.0f} steps/s).",
        f"  {reached}",
    ]
    try:
        curve = draw_learning_curve(folder, steps_per_iteration, f"{task.name}, seed {task.seed}")
        lines.append(f"  learning curve  {curve}")
    except (ImportError, OSError) as error:
        lines.append(f"  no learning curve: {error}")
    failure: Exception | None = None
    if interrupted:
        lines.append(f"  policy files: rsl-rl export {folder}")
    else:
        policy = runner.get_inference_policy()
        for write, name in EXPORTERS.values():
            try:
                report = write(policy, folder / EXPORTS / name)
            except ImportError as error:
                lines.append(f"  no {name}: {error}")
                continue
            except Exception as error:  # an exporter fails in ways of its own, and the run is worth its summary
                lines.append(f"  no {name}: see below; the checkpoints are complete")
                failure = error
                continue
            checked = (
                "not checked" if report.max_difference is None else f"checked, differs by {report.max_difference:.0e}"
            )
            lines.append(f"  policy          {report.path} ({checked})")
    lines += [f"  metrics         {folder / 'metrics.csv'}", f"See it act: rsl-rl play {folder}"]
    print("\n".join(lines), flush=True)
    if failure is not None:
        if isinstance(failure, (RuntimeError, OSError)):
            raise UserError(str(failure)) from failure
        raise failure
