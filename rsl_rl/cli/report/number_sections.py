# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The sections of a report that show numbers: what was reached, curves, reward terms, update, speed, evaluation."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rsl_rl.cli.report.charts import chart, charts, numbers_table, share_bar, summary_table, tags_of
from rsl_rl.cli.report.facts import RunFacts
from rsl_rl.cli.report.markup import Html, code, definitions, details, element, figures, joined, note, table
from rsl_rl.env.tracking import with_unit
from rsl_rl.telemetry.console import duration
from rsl_rl.utils.recognition import found_instead

_LARGEST_PICTURE = 4 * 2**20
_COLLECTING, _LEARNING, _SPEED = "Perf/collection_time", "Perf/learning_time", "Perf/total_fps"


def header(facts: RunFacts) -> Html:
    """Say what was trained, when, and what it reached."""
    config = facts.config or {}
    runner = config.get("runner")
    sections = runner.items() if isinstance(runner, Mapping) else ()
    classes = {part: section.get("class_name") for part, section in sections if isinstance(section, Mapping)}
    models = [part for part in ("actor", "critic", "student", "teacher") if part in classes]
    rows = {
        "Environment": config.get("env"),
        "Algorithm": classes.get("algorithm"),
        "Models": ", ".join(f"{part} {classes[part]}" for part in models),
        "Seed": config.get("seed"),
        "Device": config.get("device"),
        "Begun": " and ".join(str(s["date"]).replace("T", " ")[:16] for s in facts.starts if s.get("date")),
        "Folder": str(facts.folder),
    }
    parts = [
        element("p", "Training report", class_="kind"),
        element("h1", facts.title),
        element("p", config["description"], class_="lead") if config.get("description") else None,
        definitions(_key_figures(facts), "cards"),
        definitions([row for row in rows.items() if row[1]], "about columns"),
    ]
    if config.get("expected"):
        parts.append(note("Expected of this task: ", config["expected"]))
    return element("header", joined(parts))


def _key_figures(facts: RunFacts) -> list[tuple[str, Html]]:
    history = facts.history
    cards: list[tuple[str, str, str]] = []
    axis = "steps" if "steps" in history.axes else history.axes[0]
    if facts.reward_tag:
        x, y = history.series(facts.reward_tag, axis)
        best = int(y.argmax())
        reached = f"{y[-1]:.4g}" if abs(y[-1]) >= 1 else f"{y[-1]:.2g}"
        cards.append(("Reward", reached, f"best {figures(float(y[best]))} at {_short(x[best])} {axis}"))
    if facts.length_tag:
        cards.append(("Episode length", figures(float(history.series(facts.length_tag, axis)[1][-1])), "steps"))
    steps, seconds, last = facts.end("steps"), facts.end("seconds"), facts.end("iteration")
    if steps:
        cards.append(("Steps taken", _short(steps), f"{steps:,.0f}, of all environments"))
    if seconds:
        cards.append(("Training time", duration(seconds), "collecting and learning"))
    if seconds and _SPEED in history.tags:
        at, speeds = history.series(_SPEED, "seconds")
        if at[-1] > 0:
            mean = float(np.average(speeds, weights=np.diff(at, prepend=0.0)))
            cards.append(("Steps per second", _short(mean), "mean over the run"))
    if last is not None:
        hint, planned = "made", (facts.config or {}).get("iterations")
        if isinstance(planned, int):
            hint = f"of {planned:,}, "
            hint += "complete" if last + 1 >= planned else "stopped before the end or still running"
        cards.append(("Iterations", f"{last + 1:,.0f}", hint))
    return [(name, joined([value, element("small", hint)])) for name, value, hint in cards]


def curves(facts: RunFacts) -> Html:
    """Show one curve to choose, large, and the other numbers about episodes."""
    history = facts.history
    if not history.tags:
        return note("Not recorded: the folder holds neither metrics.csv nor TensorBoard files with numbers.")
    chosen = facts.reward_tag or history.tags[0]
    others = [tag for tag in tags_of("progress", history) if tag != chosen]
    tabled = [tag for tag in (facts.reward_tag, facts.length_tag) if tag] or [chosen]
    missing = None if facts.reward_tag else note("No reward was logged: no episode has ended, or it has another name.")
    return joined([missing, chart(chosen, history.tags), charts(others), numbers_table(history, tabled)])


def reward_terms(facts: RunFacts) -> Html:
    """Show what the environment reported."""
    tags = tags_of("environment", facts.history)
    if not tags:
        return note(
            "The environment reported none. What it gives in ",
            code('extras["log"]'),
            " is drawn here, one curve a name.",
        )
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault(tag.rpartition("/")[0], []).append(tag)
    parts: list[Html] = []
    for prefix, members in groups.items():
        if len(groups) > 1:
            parts.append(element("h3", prefix or "others"))
        parts += [charts(members), summary_table(facts.history, members, "term")]
    return joined(parts)


def update(facts: RunFacts) -> Html:
    """Show losses and what the update says about itself."""
    tags = tags_of("update", facts.history)
    if not tags:
        return note("Not recorded.")
    return joined([charts(tags), details("First, last and range", summary_table(facts.history, tags, "number"))])


def throughput(facts: RunFacts) -> Html:
    """Show how fast it went, and what took the time."""
    history, tags = facts.history, tags_of("speed", facts.history)
    if not tags:
        return note("Not recorded.")
    parts: list[Html] = []
    if _COLLECTING in tags and _LEARNING in tags:
        collecting, learning = (float(history.series(tag)[1].sum()) for tag in (_COLLECTING, _LEARNING))
        if collecting + learning > 0:
            parts.append(share_bar([("collecting", collecting), ("learning", learning)]))
    return joined([*parts, charts(tags)])


def evaluation(facts: RunFacts) -> Html:
    """Show what trained policies reached without exploration."""
    parts: list[Html] = []
    if facts.evaluations:
        header = ["policy", "episodes", "return", "standard deviation", "length", "success", "date"]
        rows = []
        for file, found in facts.evaluations:
            mean = found.get("mean")
            numbers = (_number(mean, key) for key in ("return", "return_std", "length", "success"))
            date = str(found.get("date", "-")).replace("T", " ")[:16]
            returns = found.get("returns")
            rows.append([file.stem, len(returns) if isinstance(returns, list) else "-", *numbers, date])
        parts.append(table(header, rows))
    for file, found in facts.evaluations:
        for key, title in (("terms", "reward term, mean per step"), ("tracking", "tracking, mean absolute error")):
            values = found.get(key)
            if isinstance(values, Mapping) and values:
                names = {name: with_unit(str(name)) if key == "tracking" else name for name in values}
                inner = table([title, "value"], [[names[name], _number(values, name)] for name in values])
                parts.append(details(f"{file.stem}: {title}", inner))
        parts.append(picture(file.with_suffix(".png"), f"Evaluation of {file.stem}"))
    if tags := tags_of("evaluation", facts.history):
        parts += [element("h3", "During the training"), charts(tags)]
    if not parts:
        return note("Not evaluated yet: ", code(f"rsl-rl eval {facts.folder}"), " runs episodes without exploration.")
    return joined(parts)


def picture(file: Path, description: str) -> Html:
    """Return a picture that lies in the page itself; nothing where there is none."""
    try:
        if file.stat().st_size > _LARGEST_PICTURE:
            return note(f"{file.name} is too large for this page.")
        content = file.read_bytes()
        if not content.startswith(b"\x89PNG"):
            return note(f"{file.name} is not a picture: {found_instead(file) or 'it is damaged'}.")
        content = base64.b64encode(content).decode()
    except OSError:
        return Html("")
    return element("img", src=f"data:image/png;base64,{content}", alt=description)


def _number(values: object, key: str) -> str:
    value = values.get(key) if isinstance(values, Mapping) else None
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, (int, float)) for item in value):
        value = statistics.fmean(value)
    return figures(float(value)) if isinstance(value, (int, float)) else "-"


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}\N{NO-BREAK SPACE}{letter}"
    return f"{value:.0f}"
