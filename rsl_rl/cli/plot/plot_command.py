# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl plot``."""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.main import UserError, user_errors
from rsl_rl.cli.plot.figure import SUFFIXES, draw
from rsl_rl.cli.plot.runs import PlottedRun, find_runs, grouped
from rsl_rl.telemetry.history import LENGTH_TAGS, RETURN_TAGS, Axis
from rsl_rl.utils import did_you_mean, listed
from rsl_rl.utils.ranges import Count


@dataclass(frozen=True)
class PlotArguments:
    """Draw learning curves of several runs and seeds: mean, and one standard deviation to both sides."""

    run: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Runs: their folders, folders of several runs, folders of TensorBoard files of any program, or names of tasks."""
    tags: tuple[str, ...] = ()
    """What to draw, one panel each; patterns such as 'Loss/*' too. Reward and episode length if left out."""
    x: Literal["auto", "iteration", "steps", "seconds"] = "auto"
    """The x axis: iterations, environment steps, or seconds of training. auto: steps if the runs record them."""
    group: tuple[str, ...] = ("auto",)
    """Which runs form one curve. auto: those that differ in nothing but the seed. task: those of a task. none: each run
    is one. Or LABEL=PATTERN ...: those whose folder fits the pattern."""
    smooth: Count = 1
    """Number of neighbouring points to average."""
    output: Path | None = None
    """The picture: .png or .svg. If left out: plot.png in the folder of the run, or in the one that all runs are in."""
    list: bool = False
    """Print the tags that the runs have, and draw nothing."""
    trust: bool = False
    """Taken as by the other commands; this one executes nothing that a run names."""


def run(arguments: Sequence[str]) -> None:
    """Draw the curves, or list what there is to draw."""
    chosen = parsed(PlotArguments, arguments, prog="rsl-rl plot")
    with user_errors():
        if not chosen.run:
            raise ValueError("Name what to draw: rsl-rl plot RUN [RUN ...]")
        if chosen.output is not None and chosen.output.suffix.lower() not in SUFFIXES:
            raise ValueError(f"'{chosen.output}' must end in one of {listed(SUFFIXES)}.")
        runs = find_runs(chosen.run)
        if chosen.list:
            for tag in dict.fromkeys(tag for run in runs for tag in run.history.tags):
                count = sum(tag in run.history.tags for run in runs)
                print(tag if count == len(runs) else f"{tag}  (in {count} of {len(runs)} runs)")
            return
        groups = grouped(runs, chosen.group)
        drawn = [run for group in groups for run in group.runs]
        tags = _chosen_tags(drawn, chosen.tags)
        axis = _chosen_axis(drawn, chosen.x)
        for tag in tags:
            without = [run for run in drawn if tag not in run.history.tags]
            if without:
                print(f"warning: {tag} is missing in {listed(run.folder for run in without)}.", file=sys.stderr)
        output = chosen.output or _common_folder(drawn) / "plot.png"
        draw(groups, tags, axis, output, chosen.smooth)
    for group in groups:
        ends = [run.history.series(tags[0], axis)[0][-1] for run in group.runs if tags[0] in run.history.tags]
        cut = f", the mean ends with the shortest, at {min(ends):,.0f} {axis}" if len(set(ends)) > 1 else ""
        print(f"{group.label}: {len(group.runs)} run{'s' * (len(group.runs) > 1)}{cut}")
    print(f"Drawn over {axis}: {output}")


def _common_folder(runs: Sequence[PlottedRun]) -> Path:
    """Return the folder that holds all of the runs; the current one for runs that have none but the root in common."""
    folders = [run.folder for run in runs]
    if any(folder.is_absolute() or ".." in folder.parts for folder in folders):
        folders = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath(folders)) if len({folder.drive for folder in folders}) == 1 else Path()
    return Path() if common == Path(common.anchor) else common


def _chosen_tags(runs: Sequence[PlottedRun], wanted: Sequence[str]) -> list[str]:
    """Return the tags that are meant, or say that no run has one of them."""
    known = list(dict.fromkeys(tag for run in runs for tag in run.history.tags))
    if not wanted:
        # Several where runs of different programs are compared.
        if found := [tag for tag in (*RETURN_TAGS, *LENGTH_TAGS) if tag in known]:
            return found
        raise UserError(f"No run has a reward under a known name; choose with --tags. There are: {listed(known)}.")
    tags: dict[str, None] = {}
    for pattern in wanted:
        fitting = [pattern] if pattern in known else fnmatch.filter(known, pattern)
        if not fitting:
            hint = did_you_mean(pattern, known, cutoff=0.4)
            raise UserError(f"No run has a tag '{pattern}'.{hint} All tags: rsl-rl plot RUN --list")
        tags |= dict.fromkeys(fitting)
    return list(tags)


def _chosen_axis(runs: Sequence[PlottedRun], wanted: str) -> Axis:
    """Return what all of the runs can be drawn over, or say which run does not tell what was asked for."""
    order: tuple[Axis, ...] = ("steps", "iteration", "seconds")
    for axis in order:
        lacking = [run for run in runs if axis not in run.history.axes]
        if axis == wanted and lacking:
            raise UserError(
                f"'{lacking[0].folder}' does not record {axis}; it can be drawn over {listed(lacking[0].history.axes)}."
            )
        if axis == wanted or (wanted == "auto" and not lacking):
            return axis
    raise UserError("Some of these runs count iterations, others environment steps; draw them apart.")
