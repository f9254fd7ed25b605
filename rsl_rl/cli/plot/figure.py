# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Curves of groups of runs, as a picture.

Legend: K runs of a group, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rsl_rl.cli.plot.runs import Group, PlottedRun
from rsl_rl.cli.run_folder import CURVE
from rsl_rl.telemetry.history import Axis, read_history
from rsl_rl.utils.atomic_files import replaced_when_complete
from rsl_rl.utils.install_lines import INSTALL_LINES

SUFFIXES = (".png", ".svg")
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, which people with any colour vision tell apart; without yellow, which is faint on white."""
_STYLES = ("-", "--", ":", "-.")
_MOST_POINTS = 2000
_LABELS = {
    "Train/mean_reward": "episode reward",
    "Train/mean_episode_length": "episode length [steps]",
    "Perf/total_fps": "environment steps per second",
    "Perf/collection_time": "collecting [s per iteration]",
    "Perf/learning_time": "learning [s per iteration]",
}


class Band(NamedTuple):
    """Mean and spread of a group's curves; all [P]."""

    x: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    """Standard deviation over the runs, with K - 1 below the line; 0 for a single one."""


def mean_and_spread(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> Band | None:
    """Return mean and spread of K curves, x ascending and y, where all have values; None where no x lies within all."""
    begin, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if begin > end:
        return None
    x = np.unique(np.concatenate([x for x, _ in curves]))
    x = x[(x >= begin) & (x <= end)]
    if len(x) > _MOST_POINTS:
        x = np.linspace(begin, end, _MOST_POINTS)
    y = np.stack([np.interp(x, *curve) for curve in curves])
    return Band(x, y.mean(axis=0), y.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(x))


def smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over ``width`` neighbouring points [P]; at the ends over those that there are."""
    before, after = (width - 1) // 2, width // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - before, 0), np.minimum(index + after + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def import_matplotlib(purpose: str) -> Any:
    """Return matplotlib, with the module of its figures; an ImportError says what it is needed for."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError(f"{purpose} needs: {INSTALL_LINES['plot']}") from error
    return matplotlib


def draw_learning_curve(folder: Path, title: str) -> Path:
    """Draw reward and episode length of a run over environment steps, into its folder."""
    history = read_history(folder)
    seconds = max((history.series(tag, "seconds")[0][-1] for tag in history.tags), default=0.0)
    group = Group(f"{title} ({seconds / 60:.1f} minutes)", [PlottedRun(folder, history, None)])
    draw([group], ("Train/mean_reward", "Train/mean_episode_length"), "steps", folder / CURVE, title=group.label)
    return folder / CURVE


def draw(
    groups: Sequence[Group], tags: Sequence[str], axis: Axis, path: Path, smooth: int = 1, title: str | None = None
) -> None:
    """Draw one panel a tag with one curve a group.

    The mean of a group, over ``smooth`` points, is drawn as far as all of its runs go; the runs themselves as thin
    lines to their ends. The suffix of the path says which kind of picture; the title is by default the task of all.
    """
    matplotlib = import_matplotlib("Drawing curves")
    columns = min(len(tags), 2 if len(tags) in (2, 4) else 3)
    rows = -(-len(tags) // columns)
    # Text stays text, also where it holds $, and the same runs give the same file.
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "rsl-rl", "font.size": 10, "text.parse_math": False}
    with matplotlib.rc_context(style):
        height = 3.4 * rows + 0.35 * -(-len(groups) // columns) + 0.2
        figure = matplotlib.figure.Figure(figsize=(max(6.4, 4.6 * columns), height))
        figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.08)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        handles: dict[str, Any] = {}
        titles = {title or run.task for group in groups for run in group.runs}
        if len(titles) == 1:
            figure.suptitle(*titles)
        for panel, tag in zip(panels, tags, strict=False):
            _draw_panel(panel, groups, tag, axis, smooth, handles)
        for panel in panels[len(tags) :]:
            panel.set_visible(False)
        if set(handles) != titles:  # otherwise the title has said it
            figure.legend(handles.values(), handles.keys(), loc="outside lower center", frameon=False, ncols=columns)
        with replaced_when_complete(path) as partial:
            is_svg = path.suffix.lower() == ".svg"
            figure.savefig(partial, dpi=150, metadata={"Date": None} if is_svg else None)


def _draw_panel(
    panel: Any, groups: Sequence[Group], tag: str, axis: Axis, smooth: int, handles: dict[str, Any]
) -> None:
    members = [[run.history.series(tag, axis) for run in group.runs if tag in run.history.tags] for group in groups]
    unit, x_label = _unit(axis, max((x[-1] for curves in members for x, _ in curves), default=0.0))
    for index, (group, curves) in enumerate(zip(groups, members, strict=True)):
        if not curves:
            continue
        color = COLORS[index % len(COLORS)]
        style = _STYLES[index // len(COLORS) % len(_STYLES)]
        smooth_curves = [(x / unit, smoothed(y, smooth)) for x, y in curves]
        if len(curves) > 1 or smooth > 1:
            for x, y in curves if len(curves) == 1 else [(x * unit, y) for x, y in smooth_curves]:
                panel.plot(x / unit, y, color=color, linewidth=0.7, alpha=0.35, zorder=2)
        band = mean_and_spread(smooth_curves)
        label = f"{group.label} (mean and std of {len(group.runs)} runs)" if len(group.runs) > 1 else group.label
        x, mean, std = ([], [], np.zeros(0)) if band is None else band
        (line,) = panel.plot(x, mean, style, color=color, linewidth=1.9, zorder=3, label=label)
        if len(x) == 1:
            line.set_marker("o")
        handles.setdefault(label, line)
        if len(curves) > 1 and band is not None:
            panel.fill_between(x, mean - std, mean + std, color=color, alpha=0.18, linewidth=0, zorder=1)
    panel.set_xlabel(x_label)
    panel.set_ylabel(_LABELS.get(tag, tag))
    panel.grid(color="#d9d9d9", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.margins(x=0.01)
    panel.set_xlim(left=min(0.0, panel.get_xlim()[0]) if panel.get_xlim()[0] < 0.2 * panel.get_xlim()[1] else None)
    panel.yaxis.set_major_formatter(_short)
    panel.locator_params(axis="x", nbins=6, integer=axis == "iteration" and unit == 1)


def _unit(axis: Axis, largest: float) -> tuple[float, str]:
    """Return by what x is divided, and the name of the axis."""
    if axis == "seconds":
        for unit, name in ((3600.0, "hours"), (60.0, "minutes")):
            if largest >= 2 * unit:
                return unit, f"training time [{name}]"
        return 1.0, "training time [s]"
    name = "iteration" if axis == "iteration" else "environment steps"
    for unit, word in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if largest >= unit and (axis == "steps" or unit > 1e3):
            return unit, f"{name} [{word}]"
    return 1.0, name


def _short(value: float, _: int | None = None) -> str:
    """Return a number as text: thousands as k, millions as M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * unit or (unit > 1e3 and abs(value) >= unit):
            return f"{value / unit:.6g}{letter}"
    return f"{value:.6g}"
