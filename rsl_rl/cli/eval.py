# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl eval``."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.export_record import with_origin
from rsl_rl.cli.main import user_errors
from rsl_rl.cli.play import PolicyKind, finite, load_policy, policy_file
from rsl_rl.cli.plot.figure import COLORS, import_matplotlib
from rsl_rl.cli.run_folder import EXPORTS, Run
from rsl_rl.cli.table import as_table
from rsl_rl.cli.train import MOST_EVALUATED_AT_ONCE, seed_everything
from rsl_rl.config.task import TaskConfig, judged_options
from rsl_rl.telemetry.console import is_reward_term
from rsl_rl.utils.atomic_files import replaced_when_complete, write_whole
from rsl_rl.utils.ranges import Count, Seed

FOLDER = "evaluation"
# Options of environments that change what a policy is given or how fast they run, not what they are.
_NOT_COMPARED = ("groups", "num_threads", "thread_affinity_offset", "vectorization_mode")


@dataclass(frozen=True)
class EvalArguments:
    """Measure trained policies without exploration, and compare runs."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders of runs, checkpoints or exported policies in them, or a task's name for its newest run."""
    episodes: Count = 64
    """Episodes of each run."""
    num_envs: Count | None = None
    """Environments side by side; one per episode if left out, 64 at most. Each plays its share of the episodes."""
    policy: PolicyKind = "auto"
    """Which file acts; auto: the named one, otherwise the newest checkpoint. best, latest: best.pt, latest.pt."""
    seed: Seed = 1000
    """Seed of the environments; the same gives the same numbers."""
    output: Path | None = None
    """Folder for one figure and one JSON file of all runs, beside those in each run."""
    json: bool = False
    """Print the results as JSON, a list with one object per run."""
    trust: bool = False
    """Import and execute code outside this library that a stranger's run names."""


@dataclass(frozen=True)
class _Candidate:
    """A policy to be measured."""

    run: Run
    task: TaskConfig
    kind: str
    file: Path

    @property
    def name(self) -> str:
        """What its files are called: like the checkpoint, or the format of the run's own export, or another export."""
        from rsl_rl.export import EXPORTERS

        if self.kind == "checkpoint":
            return self.file.stem
        own = self.run.folder / EXPORTS / EXPORTERS[self.kind][1]
        return self.kind if self.file.resolve() == own.resolve() else self.file.name


def run(arguments: list[str]) -> None:
    """Play, print what came out, and write it into each run."""
    chosen = parsed(EvalArguments, arguments, prog="rsl-rl eval")
    with user_errors():
        if not chosen.runs:
            raise ValueError("Name at least one run: rsl-rl eval RUN.")
        # Everything that can be wrong is found before anything is played.
        runs = [Run(name) for name in chosen.runs]
        candidates = [_Candidate(found, found.task(chosen.trust), *policy_file(found, chosen.policy)) for found in runs]
    # With --json the result is all that is printed.
    say: Callable[..., None] = (lambda *lines, **_: None) if chosen.json else print
    results = []
    for candidate in candidates:
        say(f"{candidate.task.name}: {with_origin(candidate.file)}", flush=True)
        results.append(_evaluate(candidate, chosen))
    # First of all, so that nothing is lost where it cannot be written.
    labels = _labels(candidates)
    if chosen.json:
        print(json.dumps(results), flush=True)
    say(f"\n{as_text(results, labels)}")
    if len({_environment(candidate.task) for candidate in candidates}) > 1:
        say("\nThese runs have different environments: their numbers cannot be compared.")
    for name, expected in {c.task.name: c.task.expected for c in candidates if c.task.expected}.items():
        say(f"\nExpected of {name}: {expected}")
    say(flush=True)
    for candidate, result, label in zip(candidates, results, labels, strict=True):
        place = candidate.run.folder / FOLDER / candidate.name
        try:
            written = _write(place, result, [result], [label])
        except OSError as error:  # not the user's own folder, or a full disk
            print(f"warning: Nothing was written to '{place.parent}': {error}", file=sys.stderr)
        else:
            say(*written, sep="\n")
    if chosen.output is not None:
        with user_errors():
            say(*_write(chosen.output / FOLDER, results, results, labels), sep="\n")


def _evaluate(candidate: _Candidate, chosen: EvalArguments) -> dict[str, Any]:
    """Play one policy; return what its file holds."""
    import torch

    from rsl_rl.env import make_env
    from rsl_rl.runners.episodes import play_episodes

    task = candidate.task
    num_envs = min(chosen.num_envs or MOST_EVALUATED_AT_ONCE, chosen.episodes)
    # Each run alike, wherever it stands in the command.
    seed_everything(chosen.seed, 1)
    with user_errors():
        env = make_env(task.env, num_envs=num_envs, seed=chosen.seed, **judged_options(task))
        policy = load_policy(task, env, candidate.kind, candidate.file)
    played = play_episodes(env, policy, chosen.episodes)
    longest = int(torch.as_tensor(env.max_episode_length).max())
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
        "max_episode_length": longest,
        "returns": played.returns,
        "lengths": played.lengths,
        "successes": played.successes,
        "terms": played.terms,
        "tracking": played.tracking,
        "mean": played.means(),
    }
    return finite(document)


def _write(place: Path, document: Any, results: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[str]:
    """Write a document and a figure of results beside it; return what to say about them."""
    path = place.with_name(f"{place.name}.json")
    write_whole(path, json.dumps(document, indent=1) + "\n")
    said = [f"results  {path}"]
    figure = place.with_name(f"{place.name}.png")
    try:
        with replaced_when_complete(figure) as partial:
            draw_evaluations(results, labels, partial)
    except ImportError as error:
        return [*said, f"no figure: {error}"]
    except OSError as error:
        print(f"warning: The figure '{figure}' was not written: {error}", file=sys.stderr)
        return said
    return [*said, f"figure   {figure}"]


def as_text(results: Sequence[dict[str, Any]], labels: Sequence[str]) -> str:
    """Return the runs side by side: a table of what was reached, and one of the mean of every term per step."""
    from rsl_rl.env.tracking import with_unit

    successes = [result["mean"].get("success") for result in results]
    returns = [[value for value in result["returns"] if value is not None] for result in results]
    rows = [
        ["task", *(result["task"] for result in results)],
        ["policy", *(result["policy"] for result in results)],
        ["episodes", *(len(result["returns"]) for result in results)],
        ["return", *(f"{_cell(r['mean']['return'])} +- {_cell(r['mean']['return_std'])}" for r in results)],
        *(
            [f"return, {name}", *(_cell(pick(known) if known else None) for known in returns)]
            for name, pick in {"median": statistics.median, "min": min, "max": max}.items()
        ),
        ["length", *(_cell(result["mean"]["length"], 1) for result in results)],
        [
            "ended before the time limit",
            *(sum(length < result["max_episode_length"] for length in result["lengths"]) for result in results),
        ],
    ]
    if any(share is not None for share in successes):
        rows.append(["success", *("-" if share is None else f"{100 * share:.1f} %" for share in successes)])
    for name in _names(results, "tracking"):
        errors = (_cell(result["tracking"].get(name), 4) for result in results)
        rows.append([f"tracking error {with_unit(name)}", *errors])
    tables = [as_table(["", *labels], rows)]
    if terms := _names(results, "terms"):
        terms.sort(key=lambda name: not is_reward_term(name))
        cells = [[name, *(_cell(result["terms"].get(name), 4) for result in results)] for name in terms]
        tables.append(as_table(["mean per step", *labels], cells))
    return "\n\n".join(tables)


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
    options = {key: value for key, value in judged_options(task).items() if key not in _NOT_COMPARED}
    return json.dumps([task.env, options], sort_keys=True, default=str)


def draw_evaluations(results: Sequence[dict[str, Any]], labels: Sequence[str], path: str) -> None:
    """Draw evaluations, the contents of JSON files, side by side: how returns and lengths spread, and reward terms."""
    matplotlib = import_matplotlib("Drawing an evaluation")
    terms = [name for name in _names(results, "terms") if is_reward_term(name)]
    height = max(2.6 + 0.4 * len(results), 1.2 + 0.11 * len(terms) * (1 + len(results)))
    with matplotlib.rc_context({"text.parse_math": False}):  # text stays text, also where it holds $
        figure = matplotlib.figure.Figure(figsize=(13 if terms else 9, height), layout="constrained")
        _fill(figure, results, labels, terms)
        figure.savefig(path, dpi=130)


def _fill(figure: Any, results: Sequence[dict[str, Any]], labels: Sequence[str], terms: Sequence[str]) -> None:
    panels = figure.subplots(1, 3 if terms else 2)
    colors = [COLORS[index % len(COLORS)] for index in range(len(results))]
    for axes, key, title in zip(panels, ("returns", "lengths"), ("return", "length [steps]"), strict=False):
        _draw_distributions(axes, [[value for value in r[key] if value is not None] for r in results], colors)
        axes.set_yticks(range(len(results)), labels if key == "returns" else [""] * len(results))
        axes.set_xlabel(f"episode {title}")
        for label, color in zip(axes.get_yticklabels(), colors, strict=True):
            label.set_color(color)
    if terms:
        _draw_terms(panels[2], results, terms, colors)
    for axes in panels:
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    tasks = ", ".join(dict.fromkeys(result["task"] for result in results))
    counts = sorted({len(result["returns"]) for result in results})
    figure.suptitle(f"{tasks}: {' or '.join(map(str, counts))} episodes without exploration", fontsize=10)


def _draw_distributions(axes: Any, groups: Sequence[Sequence[float]], colors: Sequence[str]) -> None:
    """Draw range, quartiles and median, with every episode as a point above them, one row per run."""
    for row, (values, color) in enumerate(zip(groups, colors, strict=True)):
        if not values:
            continue
        low, quarter, median, three_quarters, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        axes.plot([low, high], [row, row], color=color, linewidth=1)
        axes.barh(row, three_quarters - quarter, left=quarter, height=0.3, color="white", edgecolor=color)
        axes.plot([median, median], [row - 0.15, row + 0.15], color=color, linewidth=2.5)
        # Spread in a fixed order, so that equal episodes do not hide each other and the picture is repeatable.
        heights = [row - 0.24 - 0.16 * (index * 0.618 % 1) for index in range(len(values))]
        axes.plot(values, heights, "o", color=color, markersize=3, alpha=0.6, markeredgewidth=0)
    axes.set_ylim(-0.6, len(groups) - 0.5)
    values = [value for group in groups for value in group]
    if values and min(values) == max(values):
        # A range without width is stretched to something unreadable, offsets of 1e-13 included.
        axes.set_xlim(values[0] - 1, values[0] + 1)


def _draw_terms(axes: Any, results: Sequence[dict[str, Any]], terms: Sequence[str], colors: Sequence[str]) -> None:
    thickness = 0.8 / len(results)
    for index, (result, color) in enumerate(zip(results, colors, strict=True)):
        places = [place + (index - (len(results) - 1) / 2) * thickness for place in range(len(terms))]
        values = [result["terms"].get(name) or 0.0 for name in terms]
        axes.barh(places, values, height=thickness, color=color)
    axes.set_yticks(range(len(terms)), terms, fontsize=7)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_xlabel("reward term, mean per step")
