# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Evaluations as a picture: how returns and lengths are distributed, and what the reward consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsl_rl.cli.plot.figure import COLORS, import_matplotlib


def is_reward(name: str) -> bool:
    """Return whether a term that an environment reports is part of its reward, by its name."""
    return "reward" in name.lower()


def draw_evaluations(results: Sequence[dict[str, Any]], labels: Sequence[str], path: str) -> None:
    """Draw one or several evaluations side by side.

    Args:
        results: Contents of their JSON files.
        labels: What to call them.
        path: The picture (.png).

    Raises:
        ImportError: matplotlib is not installed.
    """
    matplotlib = import_matplotlib("Drawing an evaluation")
    terms = [name for name in dict.fromkeys(name for r in results for name in r["terms"]) if is_reward(name)]
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
