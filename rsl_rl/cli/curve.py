# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The learning curve of a run, as a picture."""

from __future__ import annotations

from pathlib import Path

from rsl_rl.cli.run_folder import CURVE
from rsl_rl.telemetry.history import read_history


def draw_learning_curve(folder: Path, title: str) -> Path:
    """Draw reward and episode length over environment steps.

    Args:
        folder: The run; the picture is written into it.
        title: Title of the picture.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: The run has no numbers, or the picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('Drawing the learning curve needs: pip install "rsl-rl-lib[plot]"') from error
    history = read_history(folder)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    seconds = max((history.series(tag, "seconds")[0][-1] for tag in history.tags), default=0.0)
    panels = {"Train/mean_reward": "episode reward", "Train/mean_episode_length": "episode length [steps]"}
    for axes, (tag, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        steps, values = history.series(tag, "steps") if tag in history.tags else ([], [])
        unit, name = (1e6, "million") if max(steps, default=0) >= 1e6 else (1e3, "thousand")
        axes.plot([step / unit for step in steps], values, color="#2f6db3", linewidth=1.5)
        axes.set_xlabel(f"environment steps [{name}]")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
        axes.margins(y=0.1)
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    figure.suptitle(f"{title} ({seconds / 60:.1f} minutes)", parse_math=False)
    figure.savefig(folder / CURVE, dpi=130)
    return folder / CURVE
