# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl sweep``."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import Any, Literal

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.key_value_options import key_value_options
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.own_runs import write_own
from rsl_rl.cli.signals import StopSignals
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.cli.sweep.result import ranked, short, summary, write_best
from rsl_rl.cli.sweep.space import (
    check_name,
    checked_parameters,
    label_of,
    parse_option,
    task_document,
    task_of,
    value_at,
    with_values,
)
from rsl_rl.cli.sweep.study import (
    TakenOverError,
    Trials,
    database_errors,
    existing_study,
    make_pruner,
    make_sampler,
    open_study,
    queue_grid,
    seed_of_this_start,
    shown,
    wait_until_filled,
)
from rsl_rl.cli.sweep.sweep_file import FILE, SWEEPS, Sweep, changed_by, check_of_task, read_sweep
from rsl_rl.cli.sweep.trials import Plan, RunningTrial, places
from rsl_rl.config.task import load_task, task_file
from rsl_rl.utils.ranges import Count, Seed
from rsl_rl.utils.yaml_text import as_yaml

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
"""How often the database is asked what others do."""


@dataclass(frozen=True)
class SweepArguments:
    """Search for better settings: train a task again and again, each trial with other values of some parameters.

    Options that are left out are those of the sweep's file.
    """

    what: tyro.conf.Positional[str]
    """A sweep's file (YAML), a task, or the folder of a sweep that has begun."""
    param: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """What to vary, any number of times: NAME=low..high, NAME=log:low..high or NAME=a,b,c."""
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Values of the task that all trials share."""
    name: str | None = None
    """Name of the sweep; its folder is runs/sweeps/NAME. The same name continues the same sweep."""
    trials: Count | None = None
    """How many trials there are in the end, with those of earlier starts and other machines. If left out: 20."""
    metric: str | None = None
    """The logged number that counts, as of a trial's last iteration. If left out: Train/mean_reward."""
    direction: Literal["maximize", "minimize"] | None = None
    """Whether more of it is better. If left out: maximize."""
    seeds: tuple[Seed, ...] = ()
    """Train every trial with each of these seeds, and take the mean. If left out: the task's."""
    sampler: str | None = None
    """What proposes values: tpe, random, grid, or {class_name: ..., options} of optuna.samplers. If left
    out: tpe."""
    pruner: str | None = None
    """What ends bad trials early: median, halving, hyperband, none, or {class_name: ..., options} of optuna.pruners.
    If left out: median."""
    workers: Count = 1
    """Trials at once on this machine, each with its share of the cores."""
    devices: tuple[str, ...] = ()
    """Devices to deal out to the workers, for example cuda:0 cuda:1. If left out: the task's."""
    storage: str | None = None
    """Address of a database that several machines share, for example postgresql://user@host/sweeps. If
    left out: study.db in the sweep's folder."""
    show: bool = False
    """Print the state of the sweep, and train nothing."""
    trust: bool = False
    """Import and execute code outside this library that a stranger's sweep names."""


def run(arguments: list[str]) -> None:
    """Train trials until there are enough, and say which was best."""
    chosen = parsed(
        SweepArguments,
        arguments,
        prog="rsl-rl sweep",
        config=(tyro.conf.FlagCreatePairsOff,),
        registry=key_value_options(),
    )
    with user_errors():
        sweep = read_sweep(chosen.what, chosen.trust)
        params = dict(parse_option(text) for text in chosen.param)
        sweep = changed_by(sweep, params, chosen)
        with database_errors(_storage(sweep, chosen)):
            if chosen.show:
                _show(sweep, chosen)
                return
            sweep, plan, study = _prepared(sweep, chosen)
    with user_errors(only_ours=True), database_errors(_storage(sweep, chosen)):
        _Sweeping(sweep, plan, study, chosen).run()


def _show(sweep: Sweep, chosen: SweepArguments) -> None:
    folder = SWEEPS / sweep.name
    if chosen.storage is None and not (folder / "study.db").is_file():
        raise FileNotFoundError(f"There is no sweep '{sweep.name}': no file '{folder / 'study.db'}'.")
    study = existing_study(sweep.name, _storage(sweep, chosen))
    begun = study.user_attrs.get("sweep", {})
    sweep = dataclasses.replace(sweep, metric=begun.get("metric", sweep.metric))
    print(summary(study, sweep, folder, Trials(study)))


def _storage(sweep: Sweep, chosen: SweepArguments) -> str:
    return chosen.storage or f"sqlite:///{(SWEEPS / sweep.name / 'study.db').resolve()}"


def _prepared(sweep: Sweep, chosen: SweepArguments) -> tuple[Sweep, Plan, Any]:
    """Return the sweep, what is trained, and the study, after everything that can be wrong has been checked."""
    task_file(sweep.task)
    load_pytorch()
    task = load_task(sweep.task, check_of_task(chosen.what, chosen.trust))
    document = task_document(task)
    for name in sweep.overrides:
        check_name(name, document)
    document = with_values(document, sweep.overrides)
    task = task_of(document)
    parameters = checked_parameters(sweep.parameters, document)
    if both := {parameter.name for parameter in parameters} & set(sweep.overrides):
        raise ValueError(f"'{both.pop()}' is both a parameter and one of the overrides.")
    folder, seeds = SWEEPS / sweep.name, list(sweep.seeds) or [task.seed]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"Each seed counts once: 'seeds' is {seeds}.")
    pruner = make_pruner(sweep.pruner, task.iterations * len(seeds))
    # Found to be wrong before there is a folder; made for good when it is known what was tried before.
    if sweep.sampler == "grid" and not all(parameter.choices for parameter in parameters):
        raise ValueError("A grid needs parameters with 'choices' only.")
    make_sampler(sweep.sampler, [0], chosen.workers)
    has_runs = any(folder.glob("trial_*"))
    forgotten = f"'{folder}' holds trials that {{}} does not know: remove that folder to start over, or choose --name."
    if chosen.storage is None:
        if has_runs and not (folder / "study.db").is_file():
            raise FileExistsError(forgotten.format("no study.db"))
        folder.mkdir(parents=True, exist_ok=True)
    study, is_new = open_study(sweep.name, _storage(sweep, chosen), pruner, sweep.direction)
    if has_runs and not study.get_trials(deepcopy=False):
        raise FileExistsError(forgotten.format("the database"))
    if not is_new:
        wait_until_filled(study)
    sweep.check_same(study, document)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    study.sampler = make_sampler(sweep.sampler, seed_of_this_start(task.seed, is_new), chosen.workers)
    write_own(folder / FILE, as_yaml(dataclasses.asdict(sweep)))
    if sweep.sampler == "grid":
        size = queue_grid(study, {parameter.name: parameter.labels for parameter in parameters})
        sweep = dataclasses.replace(sweep, trials=min(sweep.trials, size))
    given = {parameter: value_at(document, parameter.name) for parameter in parameters}
    is_to_begin = sweep.sampler != "grid" and not study.get_trials(deepcopy=False)
    if is_to_begin and all(parameter.holds(value) for parameter, value in given.items()):
        # What the others have to beat.
        values = {parameter.name: label_of(value) for parameter, value in given.items()}
        study.enqueue_trial(values, user_attrs={"is_as_given": True})
    study.set_user_attr("is_filled", True)
    return sweep, Plan(folder, document, parameters, sweep.metric, seeds), study


class _Sweeping:
    def __init__(self, sweep: Sweep, plan: Plan, study: Any, chosen: SweepArguments) -> None:
        self._sweep, self._plan, self._study = sweep, plan, study
        self._trials = Trials(study)
        self._free = places(chosen.workers, chosen.devices)
        self._active: list[RunningTrial] = []
        self._is_stopping = self._waits = False
        self._looked = -_LOOK_SECONDS
        self._storage = "" if chosen.storage is None else f" --storage '{shown(chosen.storage)}'"

    def run(self) -> None:
        """Train; end with 130 or 143 after a signal, when all trials have been given back."""
        done, names = len(self._trials.finished()), ", ".join(p.name for p in self._plan.parameters)
        print(f"Sweep {self._sweep.name}: {done} of {self._sweep.trials} trials are done, in {self._plan.folder}")
        print(f"{self._sweep.direction} {self._sweep.metric} over {names}", flush=True)
        with StopSignals() as signals:
            signals.stop_with(self._stop)
            try:
                while self._active or (not self._is_stopping and len(self._trials.finished()) < self._sweep.trials):
                    if time.monotonic() - self._looked > _LOOK_SECONDS:
                        self._looked = time.monotonic()
                        for lost in self._trials.lost():
                            with contextlib.suppress(TakenOverError):
                                outcome = self._trials.give_back(lost)
                                print(f"trial_{lost.number:04d}: its process is gone; {outcome}", flush=True)
                        self._begin_trials()
                    time.sleep(_POLL_SECONDS)
                    for trial in list(self._active):
                        self._follow(trial)
            finally:
                for trial in self._active:
                    trial.kill()
                for trial in self._active:
                    # Whatever ended the sweep is what there is to say; those that cannot be given back are found later.
                    with contextlib.suppress(Exception):
                        self._trials.give_back(trial.frozen(), counts=False)
            write_best(self._study, self._plan)
            print(summary(self._study, self._sweep, self._plan.folder, self._trials), flush=True)
            if self._is_stopping:
                print(f"Continue it with: rsl-rl sweep {self._plan.folder}{self._storage}", flush=True)
                raise SystemExit(signals.exit_code)
        if not ranked(self._study):
            raise UserError(f"No trial was trained to its end. What they said: {self._plan.folder / 'logs'}")

    def _stop(self) -> None:
        self._is_stopping = True
        for trial in self._active:
            trial.stop()

    def _begin_trials(self) -> None:
        taken = len(self._trials.finished()) + len(self._trials.running())
        while self._free and not self._is_stopping and taken < self._sweep.trials:
            trial = RunningTrial(self._plan, self._trials, self._free.pop(0))
            self._active.append(trial)
            if self._is_stopping:  # Since it was begun.
                trial.stop()
            taken += 1
            values = ", ".join(f"{name.rpartition('.')[2]} {short(value)}" for name, value in trial.values.items())
            print(f"{trial.label}: {values}", flush=True)
        if not self._active and not self._waits and not self._is_stopping and taken >= self._sweep.trials:
            self._waits = True
            print("Waiting for trials that run elsewhere.", flush=True)

    def _follow(self, trial: RunningTrial) -> None:
        try:
            ended = trial.poll()
        except TakenOverError:
            trial.kill()
            ended = "taken over elsewhere, where nothing was heard of it for a minute"
        if ended is None:
            return
        self._active.remove(trial)
        self._free.append(trial.place)
        self._looked = -_LOOK_SECONDS
        write_best(self._study, self._plan)
        done = len(self._trials.finished())
        print(f"{trial.label}: {ended} ({done} of {self._sweep.trials} done)", flush=True)
