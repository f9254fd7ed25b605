# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl train``."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import random
import re
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.key_value_options import key_value_options
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.own_runs import check_given, without_seal, write_own
from rsl_rl.cli.run_folder import (
    CONFIG,
    Run,
    check_finite,
    first_iteration,
    new_run_folder,
    remember_launch,
    run_to_resume,
)
from rsl_rl.cli.runner_options import put_into_sections, with_exact_types
from rsl_rl.cli.signals import StopSignals
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.cli.task_changes import with_absolute_paths, with_observation_groups, with_teacher
from rsl_rl.cli.viewer.viewable import ViewArguments
from rsl_rl.cli.warning_log import WarningLog
from rsl_rl.config.schema import RunnerConfig
from rsl_rl.config.task import (
    DEFAULT_TASK,
    TaskConfig,
    judged_options,
    load_task,
    read_document,
    task_file,
    task_names,
    task_text,
)
from rsl_rl.telemetry.provenance import record_start
from rsl_rl.utils import listed, resolve_callable
from rsl_rl.utils.option_types import check_fields
from rsl_rl.utils.yaml_text import parse_yaml_text

if TYPE_CHECKING:  # What needs torch is imported where it is used: a mistake in the arguments is reported before.
    from rsl_rl.env import VecEnv
    from rsl_rl.runners import OnPolicyRunner

MOST_EVALUATED_AT_ONCE = 64


@dataclass(frozen=True)
class TrainArguments(ViewArguments, TaskConfig):
    """Train a task, an environment, or what a YAML file describes."""

    run_dir: Path | None = None
    """Folder of the run; a new one under runs/ if left out."""
    resume: str | None = None
    """Continue a run in its folder: give the folder, or a task's name for its newest run. auto: the newest run of this
    task, or a new one if there is none."""
    teacher: str | None = None
    """For a student: the run to learn from (a folder, a checkpoint in it, or a task's name for its newest run)."""
    export: bool = True
    """Write the policy as ONNX, TorchScript and torch.export files at the end."""
    trust: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Import and execute code outside this library that a stranger's run names."""


def run(arguments: list[str]) -> None:
    """Train, export, and say how it went."""
    named = bool(arguments) and not arguments[0].startswith("-")
    name, arguments = (arguments[0], arguments[1:]) if named else (DEFAULT_TASK, arguments)
    # Words by themselves, as for the other commands; the switches of this one take a value.
    words = [word for word in arguments if word in ("--trust", "--view", "--no-browser")]
    arguments = [word for word in arguments if word not in words]
    trust = "--trust" in words
    with user_errors():
        if (Path(name) / CONFIG).is_file():
            raise ValueError(
                f"'{name}' is a run, not a task. To continue it: rsl-rl train --resume {name}. To train it again: "
                f"rsl-rl train {Path(name) / CONFIG}."
            )
        if (file := task_file(name)) is not None:
            read_document(file)
        load_pytorch()
        preset = load_task(name, functools.partial(check_given, trust))
        resumed = run_to_resume(arguments, preset)
        if resumed is not None and (not named or Path(name).suffix not in (".yaml", ".yml")):
            # What it was started with, not the task's defaults; a file of the user's may have been changed on purpose.
            preset = resumed.task(trust, trains=True)
        runner, arguments = put_into_sections(preset.runner, arguments)
        preset = dataclasses.replace(preset, runner=runner)
    values = dict(vars(preset))
    if not preset.runner.obs_groups:
        # Empty sets stand for everything that the environment gives, and make the options exist.
        values["runner"] = dataclasses.replace(preset.runner, obs_groups={"actor": [], "critic": []})
    default = with_exact_types(TrainArguments(**values))
    chosen = parsed(
        type(default),
        arguments,
        default=default,
        prog=f"rsl-rl train {name}",
        description=f"Train '{name}'. Another task: rsl-rl train TASK, one of {listed(task_names())}, a YAML file, or "
        "an environment such as gym:Ant-v5.",
        config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
        registry=key_value_options(),
    )
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(TaskConfig)}
    for name in ("env_options", "eval_env_options"):
        values[name] = getattr(preset, name) | getattr(chosen, name)
    others = preset.runner.others | chosen.runner.others
    anneal = preset.runner.anneal | chosen.runner.anneal
    obs_groups = chosen.runner.obs_groups
    if not preset.runner.obs_groups:
        obs_groups = {name: groups for name, groups in obs_groups.items() if groups}
    logger = chosen.runner.logger
    if isinstance(logger, str) and logger[:1] in ("[", "{"):
        with user_errors():
            logger = parse_yaml_text(logger)
    runner = dataclasses.replace(chosen.runner, others=others, anneal=anneal, obs_groups=obs_groups, logger=logger)
    values["runner"] = RunnerConfig.from_dict(runner.to_dict())
    task = TaskConfig(**values)
    with user_errors():
        if chosen.teacher is not None:
            if task.checkpoint is not None or (resumed is not None and resumed.checkpoint_if_any() is not None):
                raise ValueError(
                    "--teacher is for a student that begins: the checkpoint of a student holds its teacher."
                )
            task = with_teacher(task, Run(chosen.teacher), trust)
        view = chosen.with_words(words)
        view.check(task.env)
    train(with_absolute_paths(task), chosen.run_dir, resumed, chosen.export, view)


def train(task: TaskConfig, run_dir: Path | None, resumed: Run | None, export: bool, view: ViewArguments) -> None:
    """Train a task, alone or with the processes that ``torchrun`` started, in a new folder or going on with a run.

    SystemExit: 130, 143 or 129 after Ctrl-C, a termination or the end of the terminal, with everything saved.
    """
    from rsl_rl.cli.conclusion import conclude
    from rsl_rl.distributed import current

    with WarningLog() as kept, StopSignals() as signals, contextlib.ExitStack() as held:
        runner, task, folder, done = _prepared(task, run_dir, resumed, held)
        signals.stop_with(runner.request_stop)
        is_first = runner.gpu_global_rank == 0
        if is_first:
            kept.begin(folder, lambda: runner.current_learning_iteration)
        if is_first and done >= task.iterations:
            so_far = f"is complete: {done} of" if done == task.iterations else f"has {done} iterations, more than"
            print(f"{folder} {so_far} {task.iterations} iterations. More: --iterations N, which is the total.")
        elif is_first:
            record_start(folder, task.device, done)
            processes = f"{runner.gpu_world_size} processes, each with " if runner.is_distributed else ""
            begins = f"from iteration {done} to {task.iterations}" if done else f"{task.iterations} iterations"
            print(f"Training {task.name}: {processes}{task.num_envs} environments, {begins}, into {folder}", flush=True)
            if runner.alg.storage is not None and runner.alg.storage.memory:
                print(f"Memory of the {runner.alg.storage.memory}", flush=True)
            if view.view:
                from rsl_rl.cli.viewer.beside_training import ViewerBesideTraining

                ViewerBesideTraining(runner, folder, view).join(runner, held)
        started, steps = time.perf_counter(), runner.logger.tot_timesteps
        try:
            if done < task.iterations:
                with user_errors(only_ours=True):
                    runner.learn(task.iterations - done, init_at_random_ep_len=task.init_at_random_ep_len)
        except UserError as error:
            raise UserError(f"{error}\nThe run up to then: {folder}") from error
        except Exception as error:
            if signals.received is None or runner.is_distributed:
                raise
            # Ctrl-C reaches the environments' own processes, too. The iterations before are saved.
            warnings.warn(f"The iteration in progress is lost: {type(error).__name__}: {error}", stacklevel=1)
        seconds = time.perf_counter() - started
        if not runner.stop_requested:
            signals.stop = None  # Everything is saved: a signal ends what follows at once.
        if is_first and done < task.iterations:
            steps = runner.logger.tot_timesteps - steps
            conclude(task, runner, folder, seconds, steps, runner.stop_requested, export)
    if runner.is_distributed:
        # A launcher takes the first process that ends with an exit code for a failure, and terminates the others.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    current().sums(0)  # Returns when the slowest process is here.
    if runner.stop_requested:
        raise SystemExit(signals.exit_code)


def _prepared(
    task: TaskConfig, run_dir: Path | None, resumed: Run | None, held: contextlib.ExitStack
) -> tuple[OnPolicyRunner, TaskConfig, Path, int]:
    """Return a runner that is ready to learn, the resolved task, the run's folder, and the iterations done.

    The folder is ours until ``held`` is closed.
    """
    from rsl_rl.checkpoint import locked
    from rsl_rl.distributed import join_world, local_rank, world_size
    from rsl_rl.env import make_env
    from rsl_rl.runners.evaluation import SEED as EVALUATION_SEED

    with user_errors():
        check_fields(task)
    rank, given_device = int(os.environ.get("RANK", "0")), task.device
    if world_size() > 1 and task.device == "cuda":
        task = dataclasses.replace(task, device=f"cuda:{local_rank()}")
    seed_everything(task.seed, task.threads, rank)
    with user_errors():
        check_device(task.device)
        world = join_world(task.device)
        # Each machine may see other folders.
        resumed = world.broadcast(resumed)
        if resumed is not None and world.rank == 0:
            # Before its checkpoint is chosen: another process may be about to write a newer one.
            held.enter_context(locked(resumed.folder))
        # A run that has begun goes on, wherever it began from. It has none if it was stopped before its first one.
        own_checkpoint = None if resumed is None else resumed.checkpoint_if_any()
        checkpoint = own_checkpoint or task.checkpoint
        if not task.env:
            raise ValueError("No environment is given: name one with --env, for example --env gym:Ant-v5.")
        if task.runner.student is not None and checkpoint is None and task.runner.teacher_checkpoint is None:
            raise ValueError(f"'{task.name}' is a student and needs a teacher: add --teacher RUN.")
        seed = environment_seed(task.seed, rank)
        env = make_env(task.env, num_envs=task.num_envs, seed=seed, device=task.device, **task.env_options)
        task = with_observation_groups(task, env)
        # Everything that can be wrong is found before a folder is made.
        runner = make_runner(task, env, None, checkpoint_follows=checkpoint is not None)
        if task.eval_interval is not None:
            # The same seed in every run: policies are compared from the same starts.
            num_envs = min(task.eval_num_envs or MOST_EVALUATED_AT_ONCE, task.eval_episodes)
            options = dict(num_envs=num_envs, seed=EVALUATION_SEED, device=task.device, **judged_options(task))
            make_environments = functools.partial(make_env, task.env, **options)
            runner.evaluate_with(make_environments, task.eval_interval, task.eval_episodes)
        if task.threads > 1 and task.env.startswith(("envpool:", "mujoco:")):
            act_on_one_thread(runner, task.threads)
        if checkpoint is not None:
            runner.load(str(checkpoint))
            for name, model in runner.alg.models().items():
                check_finite({f"{name}.{key}": value for key, value in model.state_dict().items()}, checkpoint)
        done = 0
        if own_checkpoint is not None:
            assert resumed is not None
            # One that started from another's checkpoint numbers its own iterations from there on.
            begins = first_iteration(resumed.folder) if task.checkpoint is not None else 0
            done = runner.completed_iterations - begins
        else:
            # A run that starts from another's checkpoint makes all of its own iterations; what it wrote in a start
            # that left no checkpoint is written anew.
            runner.forget_progress()
            if resumed is not None:
                runner.logger.begins_at = 0
        done = world.broadcast(done)
        runner.first_iteration = runner.completed_iterations - done
        folder = None
        if world.rank == 0:
            folder = resumed.folder if resumed is not None else new_run_folder(task, run_dir)
            held.enter_context(locked(folder))
            if done < task.iterations:
                # The device of this process is not what was asked for.
                write_configuration(dataclasses.replace(task, device=given_device), folder, done)
            remember_launch(folder)
        folder = world.broadcast(folder)
    runner.logger.log_dir = str(folder) if world.rank == 0 else None
    # The user's own project, when it is under version control.
    runner.add_git_repo_to_log(os.getcwd())
    return runner, task, folder, done


def write_configuration(task: TaskConfig, folder: Path, done: int) -> None:
    """Write what a run is made with; of one that goes on with something else, keep what it was made with so far."""
    path, text = folder / CONFIG, task_text(task)
    before = without_seal(path.read_text(encoding="utf-8", errors="replace")) if done and path.is_file() else ""
    write_own(path, text)
    old, new = (re.sub(r"(?m)^iterations:.*$", "", each) for each in (before, text))
    if before and old != new:
        kept = path.with_stem(f"{path.stem}_until_{done}")
        write_own(kept, before)
        print(f"The configuration changes. That of the iterations up to now is kept: {kept}")


def check_device(device: str) -> None:
    """Raise ValueError unless this machine has the device."""
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"The device '{device}' cannot be used here, 'cpu' always can: {reason}") from error


def seed_everything(seed: int, threads: int, rank: int = 0) -> None:
    """Make what follows repeatable, and different in each of several processes."""
    import torch

    torch.set_num_threads(max(1, threads))
    if rank > 0:
        seed = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def act_on_one_thread(runner: OnPolicyRunner, threads: int) -> None:
    """Leave the cores to a simulator that has threads of its own, but for the update, which takes ``threads``.

    While the policy acts, torch's threads gain little, and between its small products they keep the cores busy waiting.
    """
    import torch

    update = runner.alg.update

    def update_on_threads(*arguments: Any, **options: Any) -> Any:
        torch.set_num_threads(threads)
        try:
            return update(*arguments, **options)
        finally:
            torch.set_num_threads(1)

    runner.alg.update = update_on_threads
    torch.set_num_threads(1)


def environment_seed(seed: int, rank: int = 0) -> int:
    """Return the seed of the environments of one of several processes.

    Environment i of many is seeded with this plus i; runs with neighbouring seeds would share most of theirs.
    """
    return int(np.random.SeedSequence([seed, rank] if rank else seed).generate_state(1)[0]) % 2**30


def make_runner(task: TaskConfig, env: VecEnv, log_dir: str | None, checkpoint_follows: bool = False) -> OnPolicyRunner:
    """Build the runner that a task names; a checkpoint that follows holds the teacher of a student."""
    runner_class: Any = resolve_callable(task.runner.class_name)
    options, key = task.runner.to_dict(), "teacher_checkpoint"
    if not checkpoint_follows or key not in options:
        return runner_class(env, options, log_dir=log_dir, device=task.device)
    # The file that the teacher came from is not read, but stays a part of the configuration.
    teacher = options.pop(key)
    runner = runner_class(env, options, log_dir=log_dir, device=task.device)
    runner.cfg[key] = teacher
    return runner
