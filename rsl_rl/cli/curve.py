# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The learning curve of a run, as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

from rsl_rl.cli.run_folder import CURVE
from rsl_rl.telemetry.metrics_csv import FILE_NAME


def read_metrics(folder: Path) -> dict[str, list[float]]:
    """Return every column of a run's table; an empty cell is NaN."""
    with (folder / FILE_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else ())}


def draw_learning_curve(folder: Path, steps_per_iteration: int, title: str) -> Path:
    """Draw reward and episode length over environment steps.

    Args:
        folder: The run; the picture is written into it.
        steps_per_iteration: Environment steps of one iteration.
        title: Title of the picture.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Drawing the learning curve needs: pip install "rsl-rl-lib[plot]"') from error
    metrics = read_metrics(folder)
    steps = [(iteration + 1) * steps_per_iteration for iteration in metrics.get("iteration", [])]
    unit, name = (1e6, "million") if max(steps, default=0) >= 1e6 else (1e3, "thousand")
    steps = [step / unit for step in steps]
    seconds = sum(metrics.get("Perf/collection_time", [])) + sum(metrics.get("Perf/learning_time", []))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = {"Train/mean_reward": "episode reward", "Train/mean_episode_length": "episode length [steps]"}
    for axes, (tag, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        axes.plot(steps, metrics.get(tag, [float("nan")] * len(steps)), color="#2f6db3", linewidth=1.5)
        axes.set_xlabel(f"environment steps [{name}]")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
        axes.margins(y=0.1)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    figure.suptitle(f"{title} ({seconds / 60:.1f} minutes)")
    figure.savefig(folder / CURVE, dpi=130)
    return folder / CURVE
