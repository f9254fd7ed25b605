# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The memory of a sweep: an Optuna study in a database, and who works on which of its trials."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import os
import socket
import time
import uuid
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.install_lines import INSTALL_LINES
from rsl_rl.utils.limits import MOST_COMBINATIONS

# These end a study, which only Optuna's own loop can be asked for.
_NEED_ITS_LOOP = ("GridSampler", "BruteForceSampler")
BEAT_SECONDS = 10.0
"""How often a program says that it works on a trial."""
LOST_AFTER = 60.0
"""How long it may say nothing before the trial counts as lost."""
FILL_SECONDS = 10.0
"""How long the program that made a study may take to fill its queue before it counts as dead."""
_OPEN_ATTEMPTS = 40
MAX_ATTEMPTS = 3
"""Parameters whose trials were lost so often are not tried again: they may be what crashes the machine."""


def import_optuna() -> Any:
    """Return Optuna, quiet; an ImportError says how to install it."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(f"A sweep needs Optuna: {INSTALL_LINES['sweep']}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


class TakenOverError(Exception):
    """Another program took a trial of ours for lost and has ended it."""


@contextlib.contextmanager
def while_ours() -> Iterator[None]:
    """Say so when a trial within turns out not to be ours any more."""
    try:
        yield
    except import_optuna().exceptions.UpdateFinishedTrialError as error:
        raise TakenOverError from error


@contextlib.contextmanager
def database_errors(storage: str) -> Iterator[None]:
    """Explain, as a ValueError, a database that breaks, is full or cannot be reached any more."""
    optuna = import_optuna()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = _reason(error.__cause__ or error)
        raise ValueError(f"The database '{shown(storage)}' no longer works: {reason}") from error


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def open_study(name: str, storage: str, pruner: Any, direction: str) -> tuple[Any, bool]:
    """Return the study of this name, and whether it was made here: of several programs at once, one makes it."""
    optuna, database = import_optuna(), _open(storage)
    try:
        return optuna.create_study(study_name=name, storage=database, pruner=pruner, direction=direction), True
    except optuna.exceptions.DuplicatedStudyError:
        return optuna.load_study(study_name=name, storage=database, pruner=pruner), False


def existing_study(name: str, storage: str) -> Any:
    """Return the study of this name, or raise ValueError."""
    database = _open(storage)
    try:
        return import_optuna().load_study(study_name=name, storage=database)
    except KeyError:
        raise ValueError(f"There is no sweep '{name}' in '{shown(storage)}'.") from None


def _open(storage: str) -> Any:
    """Return the database; a ValueError or ImportError says why it cannot be opened."""
    optuna = import_optuna()
    engine: dict[str, Any] = {"pool_pre_ping": True}
    if storage.startswith("sqlite:"):
        engine = {"connect_args": {"timeout": 100}}
    for attempt in itertools.count(1):
        try:
            return optuna.storages.RDBStorage(storage, engine_kwargs=engine)
        except ModuleNotFoundError as error:
            raise ImportError(f"The storage '{shown(storage)}' needs the package '{error.name}'.") from error
        except Exception as error:  # of SQLAlchemy, or of the driver
            # Another program may be at work on the tables of a new database.
            is_at_work = "already exists" in str(error) or type(error).__name__ == "IntegrityError"
            if not is_at_work or attempt == _OPEN_ATTEMPTS:
                raise ValueError(f"The storage '{shown(storage)}' cannot be opened: {_reason(error)}") from error
            time.sleep(0.05)
    return None


def shown(storage: str) -> str:
    """Return the address of a database without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return storage


def make_sampler(sampler: Any, seed: Sequence[int], workers: int) -> Any:
    """Return what proposes parameters to so many workers at once: by its name, or a class of Optuna with options."""
    if isinstance(sampler, Mapping) and sampler.get("class_name") in _NEED_ITS_LOOP:
        raise ValueError(f"{sampler['class_name']} cannot be used here. 'sampler: grid' tries all combinations.")
    named = {
        # Trials that run count as bad ones, so that several do not try the same.
        "tpe": {"class_name": "TPESampler", "constant_liar": workers > 1},
        "random": {"class_name": "RandomSampler"},
        "grid": {"class_name": "RandomSampler"},  # Never asked: a grid is queued beforehand.
    }
    return _made(sampler, "samplers", named, int(np.random.SeedSequence(list(seed)).generate_state(1)[0]))


def make_pruner(pruner: Any, steps: int) -> Any:
    """Return what ends bad trials early, of so many steps each: by its name, or a class of Optuna with options."""
    least = {"min_resource": max(1, steps // 16)}
    named = {
        # Some trials to compare with, and a third of a training in which nothing is decided: first rewards say little.
        "median": {"class_name": "MedianPruner", "n_startup_trials": 4, "n_warmup_steps": steps // 3},
        "halving": {"class_name": "SuccessiveHalvingPruner", **least},
        "hyperband": {"class_name": "HyperbandPruner", **least, "max_resource": steps},
        "none": {"class_name": "NopPruner"},
    }
    return _made("none" if pruner is None else pruner, "pruners", named)


def _made(section: Any, module: str, named: Mapping[str, Any], seed: int = 0) -> Any:
    classes = getattr(import_optuna(), module)
    if isinstance(section, str):
        if section not in named:
            raise ValueError(
                f"There is no {module[:-1]} '{section}'.{did_you_mean(section, named)} There are: {listed(named)}, or "
                f"{{class_name: ..., options}} with a class of optuna.{module}."
            )
        section = named[section]
    name = section.get("class_name") if isinstance(section, Mapping) else section
    made_by = getattr(classes, str(name), None)
    if made_by is None:
        known = [name for name in dir(classes) if name.endswith(module[:-1].title())]
        raise ValueError(f"optuna.{module} has no class '{name}'.{did_you_mean(name, known)} It has: {listed(known)}.")
    takes_seed = "seed" in inspect.signature(made_by).parameters
    options = {**({"seed": seed} if takes_seed else {}), **section}
    del options["class_name"]
    try:
        return made_by(**options)
    except (TypeError, ValueError, ImportError) as error:
        raise ValueError(f"{name} does not take these options: {error}") from error


def wait_until_filled(study: Any) -> None:
    """Wait for the program that has just made a study: two that fill its queue would let everything be tried twice."""
    ended = time.monotonic() + FILL_SECONDS
    while "is_filled" not in study.user_attrs and time.monotonic() < ended:
        time.sleep(0.05)


def queue_grid(study: Any, choices: Mapping[str, Sequence[Any]]) -> int:
    """Queue all combinations of choices that have not been tried yet; return how many there are with those."""
    if (size := math.prod(len(values) for values in choices.values())) > MOST_COMBINATIONS:
        raise ValueError(
            f"A grid of {size:,} combinations is too large, {MOST_COMBINATIONS:,} are possible: give fewer choices, or "
            "another sampler."
        )
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    for combination in combinations:
        study.enqueue_trial(combination, skip_if_exists=True)
    return len(combinations)


class Trials:
    """The trials of a study, and those that their workers have lost.

    A trial has user attributes: ``owner``, the program that works on it; ``beat``, which that changes while it does;
    ``attempt``, counted from 1; ``outcome``, set just before it ends. One that has ended without an outcome was lost.
    """

    def __init__(self, study: Any) -> None:
        self.study = study
        self._states = import_optuna().trial.TrialState
        self._host = _this_system()
        self._token = uuid.uuid4().hex[:8]
        self._heard: dict[int, tuple[Any, float]] = {}

    def finished(self) -> list[Any]:
        """Return the trials that count: trained to the end, pruned, or failed by themselves."""
        states = (self._states.COMPLETE, self._states.PRUNED, self._states.FAIL)
        ended = self.study.get_trials(deepcopy=False, states=states)
        return [trial for trial in ended if trial.state != self._states.FAIL or "outcome" in trial.user_attrs]

    def running(self) -> list[Any]:
        """Return the trials that somebody works on, here or elsewhere."""
        return self.study.get_trials(deepcopy=False, states=(self._states.RUNNING,))

    def begin(self) -> Any:
        """Return a new trial of ours."""
        trial = self.study.ask()
        trial.set_user_attr("owner", {"host": self._host, "pid": os.getpid(), "token": self._token})
        return trial

    def lost(self) -> list[Any]:
        """Return the running trials whose worker is a process of this system that is gone, or not heard of."""
        now = time.monotonic()
        found = []
        for trial in self.running():
            owner, beat = trial.user_attrs.get("owner", {}), trial.user_attrs.get("beat")
            if owner.get("token") == self._token:
                continue
            if owner.get("host") == self._host and not _is_alive(owner["pid"]):
                found.append(trial)
                continue
            # Clocks of machines differ: what counts is how long we have seen no change.
            last, since = self._heard.get(trial.number, (object(), now))
            if last != (owner, beat):
                self._heard[trial.number] = ((owner, beat), now)
            elif now - since > LOST_AFTER:
                found.append(trial)
        return found

    def give_back(self, trial: Any, counts: bool = True) -> str:
        """End a trial of the database without a result, unless another worker did; say what becomes of its parameters.

        Those of a trial that ``counts`` are tried once less.
        """
        self._tell(trial, None, self._states.FAIL)
        # Those that were queued may not all have been taken yet.
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        attempt = int(trial.user_attrs.get("attempt", 1)) + counts
        if not params:
            return "it had no parameters yet"
        if attempt > MAX_ATTEMPTS:
            return f"its parameters were tried {MAX_ATTEMPTS} times and are left"
        kept = {key: value for key, value in trial.user_attrs.items() if key == "is_as_given"}
        self.study.enqueue_trial(params, user_attrs={"attempt": attempt, **kept})
        return "its parameters are tried again"

    def end(self, trial: Any, state: str, outcome: str, value: float | None = None) -> None:
        """End a trial of ours that counts: COMPLETE with its value, PRUNED, or FAIL; unless it was taken over."""
        with while_ours():
            trial.set_user_attr("outcome", outcome)
        self._tell(trial, value, self._states[state])

    def _tell(self, trial: Any, value: float | None, state: Any) -> None:
        try:
            with while_ours():
                self.study.tell(trial.number, value, state=state)
        except ValueError as error:
            if self.study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                raise TakenOverError from error
            raise


def seed_of_this_start(seed: int, is_new: bool) -> list[int]:
    """Return a seed that differs for each program that goes on with a study: the same would propose the same again.

    What the program proposes that has made the study is repeatable.
    """
    return [seed] if is_new else [seed, zlib.crc32(f"{_this_system()} {os.getpid()} {time.time_ns()}".encode())]


def _this_system() -> str:
    """Return what tells one set of process numbers from another: a machine since its start, or a container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # A zombie: killed, but its parent has not asked for it yet.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
