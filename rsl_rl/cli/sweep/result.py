# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a sweep has found: the best configuration as a file, and a table."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from rsl_rl.cli.own_runs import write_own
from rsl_rl.cli.sweep.space import task_of, with_values
from rsl_rl.cli.sweep.study import Trials, import_optuna
from rsl_rl.cli.sweep.sweep_file import Sweep
from rsl_rl.cli.sweep.trials import Plan
from rsl_rl.cli.table import as_table
from rsl_rl.config.task import task_text
from rsl_rl.telemetry.console import number

BEST = "best.yaml"
_SHOWN = 5
_ENOUGH = 10
"""Trials below which nothing is said about what made the difference."""


def ranked(study: Any) -> list[Any]:
    """Return the trials that were trained to their end, the best first."""
    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    return sorted(done, key=lambda trial: trial.value, reverse=study.direction.name == "MAXIMIZE")


def write_best(study: Any, plan: Plan) -> None:
    """Write the configuration of the best trial as a task of its own, if there is one yet."""
    best = next(iter(ranked(study)), None)
    if best is None:
        return
    values = {parameter.name: parameter.value_of(best.params[parameter.name]) for parameter in plan.parameters}
    reached = f"{plan.metric} {number(best.value)} in trial {best.number} of the sweep '{plan.folder.name}'"
    document = with_values(plan.document, {**values, "seed": plan.seeds[0], "expected": reached})
    write_own(plan.folder / BEST, task_text(task_of(document)))


def short(value: Any) -> str:
    """Return a value for a line of text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def summary(study: Any, sweep: Sweep, folder: Path, trials: Trials) -> str:
    """Return the state of a sweep: counts, the best trials, and which parameters mattered."""
    names = {"COMPLETE": "trained to the end", "PRUNED": "pruned", "FAIL": "failed"}
    finished = trials.finished()
    counts = Counter(trial.state.name for trial in finished)
    details = ", ".join(f"{counts[state]} {name}" for state, name in names.items() if counts[state])
    lines = [
        f"Sweep {sweep.name}: {len(finished)} of {sweep.trials} trials are done{f' ({details})' if details else ''}"
    ]
    if running := len(trials.running()):
        lines[0] += f", {running} running"
    best = ranked(study)
    if not best:
        return lines[0]
    # As the study has them: those of a command line that only asks may be others.
    keys = list(best[0].params)
    rows = [
        [
            f"trial_{trial.number:04d}{' (the task itself)' if 'is_as_given' in trial.user_attrs else ''}",
            number(trial.value),
            *(short(trial.params.get(key, "")) for key in keys),
        ]
        for trial in best[:_SHOWN]
    ]
    lines += ["", as_table(["best", sweep.metric, *(key.rpartition(".")[2] for key in keys)], rows), ""]
    if len(best) >= _ENOUGH and (shares := _importances(study)):
        lines.append("What made the difference: " + ", ".join(f"{key} {share:.0%}" for key, share in shares.items()))
    lines += [f"Best configuration: {folder / BEST}", f"Train it: rsl-rl train {folder / BEST}"]
    return "\n".join(lines)


def _importances(study: Any) -> dict[str, float]:
    """Return by parameter how much of the difference between good and bad trials it makes; nothing where unknown."""
    importance = import_optuna().importance
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Of Optuna's ways the one that needs no further package.
            return importance.get_param_importances(study, evaluator=importance.PedAnovaImportanceEvaluator())
    except (ImportError, RuntimeError, ValueError):  # Too few trials, or all alike.
        return {}
