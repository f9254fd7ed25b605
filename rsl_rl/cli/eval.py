# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl eval``."""

from __future__ import annotations

import contextlib
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import tyro

from rsl_rl.cli.eval_figure import draw_evaluations, is_reward
from rsl_rl.cli.main import user_errors
from rsl_rl.cli.play import PolicyKind, load_policy, policy_file
from rsl_rl.cli.run_folder import Run
from rsl_rl.cli.table import as_table
from rsl_rl.cli.train import MOST_EVALUATED_AT_ONCE, seed_everything
from rsl_rl.config.task import TaskConfig
from rsl_rl.env import make_env
from rsl_rl.runners.episodes import play_episodes
from rsl_rl.utils.files import replaced_when_complete

FOLDER = "evaluation"
# Options of environments that change what a policy is given or how fast they run, not what they are.
_NOT_COMPARED = ("groups", "num_threads", "thread_affinity_offset", "vectorization_mode")


@dataclass(frozen=True)
class EvalArguments:
    """Measure trained policies without exploration, and compare runs."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of runs, checkpoints or exported policies in them, or a task's name for its newest run."""
    episodes: int = 64
    """Episodes of each run."""
    num_envs: int | None = None
    """Environments side by side; one per episode if left out, 64 at most. Each makes its share of the episodes."""
    policy: PolicyKind = "auto"
    """Which file acts; auto: the one that was named, else the newest checkpoint. best, latest: best.pt, latest.pt."""
    seed: int = 1000
    """Seed of the environments; the same gives the same numbers."""
    output: Path | None = None
    """Folder for one figure and one JSON file of all runs, beside those in each run."""
    json: bool = False
    """Print the results as JSON, a list with one object per run."""


@dataclass(frozen=True)
class _Candidate:
    """A policy to be measured."""

    run: Run
    task: TaskConfig
    kind: str
    file: Path

    @property
    def name(self) -> str:
        """What its files are named after: a checkpoint's own name, or the format that it was exported in."""
        return self.file.stem if self.kind == "checkpoint" else self.kind


def run(arguments: list[str]) -> None:
    """Play, write what came out into each run, and print it."""
    chosen = tyro.cli(EvalArguments, args=arguments, prog="rsl-rl eval")
    with user_errors():
        if not chosen.runs:
            raise ValueError("Name at least one run: rsl-rl eval RUN.")
        for name, number in (("episodes", chosen.episodes), ("num_envs", chosen.num_envs)):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}.")
        # Everything that can be wrong is found before anything is played.
        candidates = [_candidate(Run(name), chosen.policy) for name in chosen.runs]
    results = []
    for candidate in candidates:
        if not chosen.json:
            print(f"{candidate.task.name}: {candidate.file}", flush=True)
        results.append(_evaluate(candidate, chosen))
    with user_errors():
        written = _write(candidates, results, chosen.output)
    if chosen.json:
        print(json.dumps(results))
        return
    print(f"\n{as_text(results, _labels(candidates))}")
    if len({_environment(candidate.task) for candidate in candidates}) > 1:
        print("\nThese runs have different environments: their numbers cannot be compared.")
    print("\n" + "\n".join(written))


def _candidate(found: Run, policy: str) -> _Candidate:
    kind, file = policy_file(found, policy)
    return _Candidate(found, found.task(), kind, file)


def _evaluate(candidate: _Candidate, chosen: EvalArguments) -> dict[str, Any]:
    """Play one policy; return what its file holds."""
    task = candidate.task
    num_envs = min(chosen.num_envs or MOST_EVALUATED_AT_ONCE, chosen.episodes)
    # Each run alike, wherever it stands in the command.
    seed_everything(chosen.seed, 1)
    with user_errors():
        env = make_env(task.env, num_envs=num_envs, seed=chosen.seed, **task.env_options)
        policy = load_policy(task, env, candidate.kind, candidate.file)
    played = play_episodes(env, policy, chosen.episodes)
    with contextlib.suppress(Exception):  # not every environment can be closed, and all is done
        env.close()  # type: ignore[attr-defined]
    folder = candidate.run.folder.resolve()
    file = candidate.file.resolve()
    document = {
        "run": str(candidate.run.folder),
        "policy": file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file),
        "task": task.name,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "num_envs": num_envs,
        "seed": chosen.seed,
        "deterministic": True,
        "returns": played.returns,
        "lengths": played.lengths,
        "successes": played.successes,
        "terms": played.terms,
        "tracking": played.tracking,
        "mean": played.means(),
    }
    return _finite(document)


def _write(candidates: Sequence[_Candidate], results: Sequence[dict[str, Any]], output: Path | None) -> list[str]:
    """Write the files of every run, and of all together; return what to say about them."""
    labels, said, no_figure = _labels(candidates), [], ""
    places: list[tuple[Path, Any, list[dict[str, Any]], list[str]]] = [
        (candidate.run.folder / FOLDER / candidate.name, result, [result], [label])
        for candidate, result, label in zip(candidates, results, labels, strict=True)
    ]
    if output is not None:
        places.append((output / FOLDER, list(results), list(results), labels))
    for place, document, shown, names in places:
        path = place.with_name(f"{place.name}.json")
        with replaced_when_complete(path) as partial:
            Path(partial).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        said.append(f"results  {path}")
        try:
            with replaced_when_complete(figure := place.with_name(f"{place.name}.png")) as partial:
                draw_evaluations(shown, names, partial)
            said.append(f"figure   {figure}")
        except ImportError as error:
            no_figure = f"no figure: {error}"
    return [*said, *([no_figure] if no_figure else [])]


def as_text(results: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    """Return the runs side by side: a table of what was reached, and one of the mean of every term per step."""
    successes = [result["mean"].get("success") for result in results]
    rows = [
        ["task", *(result["task"] for result in results)],
        ["policy", *(result["policy"] for result in results)],
        ["episodes", *(len(result["returns"]) for result in results)],
        ["return", *(f"{_cell(r['mean']['return'])} +- {_cell(r['mean']['return_std'])}" for r in results)],
        *([f"return, {name}", *(_cell(_of(pick, r["returns"])) for r in results)] for name, pick in _PICKS.items()),
        ["length", *(_cell(result["mean"]["length"], 1) for result in results)],
    ]
    if any(share is not None for share in successes):
        rows.append(["success", *("-" if share is None else f"{100 * share:.1f} %" for share in successes)])
    for name in _names(results, "tracking"):
        rows.append([f"tracking error {name}", *(_cell(result["tracking"].get(name), 4) for result in results)])
    tables = [as_table(["", *labels], rows)]
    if terms := _names(results, "terms"):
        terms.sort(key=lambda name: not is_reward(name))
        cells = [[name, *(_cell(result["terms"].get(name), 4) for result in results)] for name in terms]
        tables.append(as_table(["mean per step", *labels], cells))
    return "\n\n".join(tables)


_PICKS = {"median": statistics.median, "min": min, "max": max}


def _of(pick: Any, values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return pick(known) if known else None


def _cell(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _names(results: Sequence[dict[str, Any]], section: str) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result[section]))


def _labels(candidates: Sequence[_Candidate]) -> list[str]:
    """Return short names that tell the runs apart: the folder's, with its parent's or the policy's where needed."""
    folders = [candidate.run.folder.resolve() for candidate in candidates]
    labels = [folder.name for folder in folders]
    if len(set(labels)) < len(set(folders)):
        labels = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    if len(set(folders)) < len(folders):
        labels = [f"{label} {candidate.name}" for label, candidate in zip(labels, candidates, strict=True)]
    return labels


def _environment(task: TaskConfig) -> str:
    """Return what makes the numbers of two runs comparable."""
    options = {key: value for key, value in task.env_options.items() if key not in _NOT_COMPARED}
    return json.dumps([task.env, options], sort_keys=True, default=str)


def _finite(value: Any) -> Any:
    """Return a document in which null stands for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
