# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The numbers of a run as the page's program draws them, and sorted into the sections of a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rsl_rl.cli.report.markup import Html, details, element, figures, joined, table
from rsl_rl.telemetry.history import Axis, History

MOST_POINTS = 1000
STRETCHES = MOST_POINTS // 2
_TABLE_ROWS = 15
# The section that a tag belongs to by how it begins, the first that fits.
_BEGINNINGS = {
    "speed": ("Perf/", "time/", "charts/SPS"),
    "progress": ("Train/", "rollout/", "charts/"),
    "update": ("Loss/", "Update/", "Policy/", "Rnd/", "losses/", "train/"),
    "evaluation": ("Eval/", "eval/"),
}
_DIGITS = 6


def tags_of(section: str, history: History) -> list[str]:
    """Return the tags of a section: ``speed``, ``progress`` of episodes, ``update``, ``evaluation``, ``environment``.

    The last is what the environment reported: reward terms, tracking errors, curricula.
    """
    return [
        tag
        for tag in history.tags
        if section == next((name for name, texts in _BEGINNINGS.items() if tag.startswith(texts)), "environment")
    ]


def curve_data(history: History) -> Html:
    """Return all curves as JSON for the page; long ones are thinned, with their peaks kept, and come with means.

    A curve has ``x``, which grid its ``y`` are over. A thinned one has ``mean`` too, with the same for the mean of each
    stretch, and ``points``, how many a stretch has: what lies between peaks cannot be smoothed to anything true.
    """
    places: dict[str, int] = {}
    grids: list[dict[str, list[float]]] = []

    def drawn(x: Mapping[Any, np.ndarray], y: np.ndarray) -> dict[str, Any]:
        grid = {axis: [_rounded(value) for value in values] for axis, values in x.items()}
        place = places.setdefault(json.dumps(grid), len(grids))
        if place == len(grids):
            grids.append(grid)
        return {"x": place, "y": [_rounded(value) for value in y]}

    curves = {}
    for tag in history.tags:
        x = {axis: history.series(tag, axis)[0] for axis in history.axes}
        y = history.series(tag, history.axes[0])[1]
        kept = thinned(y)
        curves[tag] = drawn({axis: values[kept] for axis, values in x.items()}, y[kept])
        if len(kept) < len(y):
            means = drawn({axis: stretch_means(values) for axis, values in x.items()}, stretch_means(y))
            curves[tag]["mean"] = means | {"points": round(len(y) / STRETCHES)}
    order: list[Axis] = [axis for axis in ("steps", "iteration", "seconds") if axis in history.axes]  # type: ignore[misc]
    text = json.dumps({"axes": order, "grids": grids, "curves": curves}, separators=(",", ":"))
    # Within a script no text may look like its end.
    return Html(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def thinned(y: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Return which points to draw [at most ``most``]: both ends, and of every stretch its lowest and its highest."""
    if len(y) <= most:
        return np.arange(len(y))
    stretches = np.array_split(np.arange(len(y)), most // 2 - 1)
    peaks = [part[pick(y[part])] for part in stretches for pick in (np.argmin, np.argmax)]
    return np.unique([0, *peaks, len(y) - 1])


def stretch_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of each of the stretches [STRETCHES] of a curve that is thinned."""
    return np.array([part.mean() for part in np.array_split(values, STRETCHES)])


def charts(tags: Iterable[str]) -> Html:
    """Return small charts; what all their tags begin with is left out of the titles where it says nothing new."""
    tags = list(tags)
    prefixes = {tag.rpartition("/")[0] for tag in tags}
    cut = len(prefixes.pop()) + 1 if len(tags) > 1 and len(prefixes) == 1 else 0
    return element("div", *(chart(tag, title=tag[cut:]) for tag in tags), class_="charts")


def chart(tag: str, tags: Sequence[str] = (), title: str = "") -> Html:
    """Return the place of a chart; with ``tags`` a large one, with a list to choose from instead of a title."""
    chooser: list[Html] = []
    if tags:
        options = (element("option", name, value=name, selected=name == tag) for name in tags)
        chooser = [
            element("label", "Show ", element("select", *options, class_="chooser")),
            element("label", element("input", type_="checkbox", class_="log"), " logarithmic"),
        ]
    head = element("span", *(chooser or [title or tag]), class_="tag", title=None if chooser else tag)
    caption = element("figcaption", head, element("output", "", aria_live="off"))
    plot = element("div", class_="plot")
    return element("figure", caption, plot, class_=f"chart{' large' if tags else ''}", data_tag=tag)


def numbers_table(history: History, tags: Sequence[str]) -> Html:
    """Return some rows of these tags, for readers and programs that cannot see curves."""
    axis: Axis = "iteration" if "iteration" in history.axes else history.axes[0]
    grid = np.unique(np.concatenate([history.series(tag, axis)[0] for tag in tags]))
    rows_at = grid[np.unique(np.linspace(0, len(grid) - 1, _TABLE_ROWS).astype(int))]
    columns = []
    for tag in tags:
        x, y = history.series(tag, axis)
        at = dict(zip(x.tolist(), y.tolist(), strict=True))
        columns.append([figures(at.get(float(row))) for row in rows_at])
    rows = zip([f"{row:,.0f}" for row in rows_at], *columns, strict=True)
    return details(f"As a table ({len(rows_at)} of {len(grid)} rows)", table([axis, *tags], rows))


def summary_table(history: History, tags: Sequence[str], first: str) -> Html:
    """Return first and last value and range of every tag."""
    rows = []
    for tag in tags:
        y = history.series(tag, history.axes[0])[1]
        tail = y[-max(1, len(y) // 10) :]
        rows.append([tag, *(figures(float(value)) for value in (y[0], y[-1], tail.mean(), y.min(), y.max()))])
    return table([first, "first", "last", "mean of last tenth", "least", "greatest"], rows)


def share_bar(parts: Sequence[tuple[str, float]]) -> Html:
    """Return how a whole is divided, as one bar."""
    total, begin, bars = sum(value for _, value in parts), 0.0, []
    for index, (_, value) in enumerate(parts):
        width = 100 * value / total
        bars.append(element("rect", x=f"{begin:.2f}%", y=0, width=f"{width:.2f}%", height=14, class_=f"share{index}"))
        begin += width
    texts = [f"{name} {100 * value / total:.0f} %" for name, value in parts]
    legend = [
        element("span", element("i", class_=f"key share{index}"), text, class_="legend")
        for index, text in enumerate(texts)
    ]
    bar = element("svg", *bars, class_="bar", height=14, width="100%", role="img", aria_label=", ".join(texts))
    return joined([bar, element("p", *legend)])


def _rounded(value: float) -> float:
    value = float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else round(float(value))
    return int(value) if value == int(value) else value
