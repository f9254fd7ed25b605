# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Trainings of a sweep: each in a process of its own, watched through the table of numbers that it writes."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsl_rl.cli.main import UserError
from rsl_rl.cli.own_process import own_command, own_environment
from rsl_rl.cli.own_runs import write_own
from rsl_rl.cli.sweep.space import Parameter, with_values
from rsl_rl.cli.sweep.study import BEAT_SECONDS, Trials, while_ours
from rsl_rl.telemetry.console import duration, number
from rsl_rl.telemetry.metrics_csv import FILE_NAME
from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.yaml_text import as_yaml


@dataclass(frozen=True)
class Plan:
    """What is the same for all trials."""

    folder: Path
    """The sweep's folder; every trial's run is a folder in it."""
    document: Mapping[str, Any]
    """The task with the sweep's overrides."""
    parameters: Sequence[Parameter]
    metric: str
    seeds: Sequence[int]
    """Every trial is trained with each; its value is the mean."""


@dataclass
class Place:
    """Where one trial at a time is trained."""

    cores: str = ""
    """Comma separated, or nothing for all."""
    device: str | None = None
    """None for the task's."""


class RunningTrial:
    """A trial in training. It ends by itself, by pruning, or because it is stopped."""

    def __init__(self, plan: Plan, trials: Trials, place: Place) -> None:
        self._plan, self._trials, self.place = plan, trials, place
        self.trial = trials.begin()
        self.values = {parameter.name: parameter.suggest(self.trial) for parameter in plan.parameters}
        self.started = self._beaten = time.monotonic()
        self.pruned_at: int | None = None
        self._pruned_with = 0.0
        self.is_stopped = False
        self._finals: list[float] = []
        self._table: _Table
        self._process: subprocess.Popen[bytes]
        self._train_next_seed()

    @property
    def label(self) -> str:
        """What the trial is called, also its folder."""
        return f"trial_{self.trial.number:04d}"

    def task(self) -> dict[str, Any]:
        """Return the task that is trained now."""
        device = {} if self.place.device is None else {"device": self.place.device}
        seed = self._plan.seeds[len(self._finals)]
        return with_values(self._plan.document, {**self.values, **device, "seed": seed})

    def stop(self) -> None:
        """Let the training end after its iteration, with a checkpoint."""
        self.is_stopped = True
        self._process.terminate()

    def kill(self) -> None:
        """End the training at once."""
        self._process.kill()
        self._process.wait()

    @while_ours()
    def poll(self) -> str | None:
        """Take in what the training has logged; return what there is to say once the trial has ended."""
        code = self._process.poll()
        self._report()
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self._beaten = time.monotonic()
            self.trial.set_user_attr("beat", self._beaten)
        if code is None:
            return None
        if self.pruned_at is not None:
            self._trials.end(self.trial, "PRUNED", f"pruned after {self.pruned_at} steps")
            return f"pruned after {self.pruned_at} iterations at {number(self._pruned_with)}"
        if self.is_stopped or code in (129, 130, 143):
            # Somebody ended it, here or from outside: it has not failed.
            return f"stopped; {self._trials.give_back(self.frozen(), counts=not self.is_stopped)}"
        if code != 0 or self._table.last is None:
            reason = self._reason(code)
            self._trials.end(self.trial, "FAIL", reason)
            return f"failed: {reason}\n    {self._log}"
        self._finals.append(self._table.last)
        if len(self._finals) < len(self._plan.seeds):
            self._train_next_seed()
            return None
        value = sum(self._finals) / len(self._finals)
        self._trials.end(self.trial, "COMPLETE", "complete", value)
        return f"{number(value)} after {duration(time.monotonic() - self.started)}"

    def _train_next_seed(self) -> None:
        """Start the training; its task and what it prints are kept beside the runs."""
        document = self.task()
        names = [self.label, *([f"seed_{document['seed']}"] if len(self._plan.seeds) > 1 else [])]
        run = self._plan.folder.joinpath(*names)
        self.trial.set_user_attr("run", str(run))
        self._table = _Table(run / FILE_NAME, self._plan.metric)
        file = self._plan.folder / "logs" / f"{'_'.join(names)}.yaml"
        self._log = file.with_suffix(".txt")
        write_own(file, as_yaml(document))
        # The sweep has been asked; where no key can be kept its trials would be again.
        command = ["train", str(file), "--run-dir", str(run), "--export", "False", "--trust"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                own_command("rsl_rl.cli.sweep.trial_process", self.place.cores, *command),
                # Closed when this process ends, however it does, which ends the training.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=own_environment(),
            )
        if self.is_stopped:  # Meanwhile; what was stopped then was the seed before.
            self.stop()

    def _report(self) -> None:
        done = len(self._finals)
        before = done * int(self._plan.document["iterations"])
        for iteration, value in self._table.new_values():
            step = before + iteration
            # With several seeds the mean up to now, which other trials had at the same step.
            self.trial.report((sum(self._finals) + value) / (done + 1), step)
            if self.pruned_at is None and not self.is_stopped and self.trial.should_prune():
                self.pruned_at, self._pruned_with = step + 1, value
                self._process.terminate()

    def frozen(self) -> Any:
        """Return the trial as the database has it."""
        return self._trials.study.get_trials(deepcopy=False)[self.trial.number]

    def _reason(self, code: int) -> str:
        if code == 0:
            tags = self._table.tags
            if tags and self._plan.metric not in tags:
                raise UserError(
                    f"The metric '{self._plan.metric}' is not among the numbers that {self.label} has logged."
                    f"{did_you_mean(self._plan.metric, tags)} Numbers: {listed(tags)}."
                )
            return f"{self._plan.metric} is not finite at the end"
        lines = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")] or lines
        said = errors[-1].strip() if errors else "it said nothing"
        return said if code == 2 else f"{said} (exit code {code})"


@dataclass
class _Table:
    """The column of a metric in a table that grows."""

    path: Path
    metric: str
    last: float | None = None
    """The newest value, None where that is not finite or there is none yet."""
    tags: list[str] = field(default_factory=list)
    _iteration: int = -1
    _state: tuple[int, ...] = ()

    def new_values(self) -> list[tuple[int, float]]:
        """Return iterations and finite values that were written since the last call."""
        try:
            status = self.path.stat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if state == self._state:
                return []
            text = self.path.read_text(encoding="utf-8")
        except OSError:
            return []
        self._state = state
        rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
        self.tags = [tag for tag in rows.fieldnames or [] if tag != "iteration"]
        values = []
        for row in rows:
            iteration, cell = int(row["iteration"]), row.get(self.metric)
            if iteration <= self._iteration or not cell:
                continue
            value = float(cell)
            self._iteration, self.last = iteration, value if math.isfinite(value) else None
            if self.last is not None:
                values.append((iteration, value))
        return values


def places(workers: int, devices: Sequence[str]) -> list[Place]:
    """Return a place for each worker: the usable cores, and the devices, dealt out."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    share = len(cores) // workers
    return [
        Place(
            ",".join(map(str, cores[index * share : (index + 1) * share])) if workers > 1 and share else "",
            devices[index % len(devices)] if devices else None,
        )
        for index in range(workers)
    ]
