# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a person sees while a run goes on."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsl_rl.telemetry.meters import IterationReport

_MOST_TERMS = 5
# Tags of the library's own numbers; the others are what the environment reports.
_OWN_TAGS = ("Loss/", "Update/", "Policy/", "Rnd/", "Train/", "Perf/", "Eval/")


def duration(seconds: float) -> str:
    """Return seconds as ``"1:02:03"`` or ``"2:03"``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number in a readable form, or a dash for None."""
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if value == 0 or 1e-2 <= abs(value) < 1e6 else f"{value:.2e}"


def evaluated(numbers: Mapping[str, float]) -> str:
    """Return the numbers of an evaluation in one line."""
    names = {"Eval/mean_return": "return", "Eval/return_std": "+-", "Eval/mean_episode_length": "length"}
    parts = [f"{name} {number(numbers.get(tag), 0 if name == 'length' else 2)}" for tag, name in names.items()]
    parts += [
        f"{tag.removeprefix('Eval/').removeprefix('tracking/')} {number(value)}"
        for tag, value in numbers.items()
        if tag.startswith("Eval/") and tag not in names
    ]
    return f"{' '.join(parts)} ({numbers.get('Perf/evaluation_time', 0.0):.1f} s)"


def is_reward_term(name: str) -> bool:
    """Return whether a number that an environment reports is a part of its reward, by its name."""
    return re.search(r"reward|(^|[/_])rew(_|$)", name.lower()) is not None


def largest_terms(scalars: Mapping[str, float]) -> dict[str, float]:
    """Return the five largest reward terms of an environment, or of all that it reports where none is named so.

    Penalties count by their size. The names are those after the last ``/``, where these differ.
    """
    reported = [tag for tag in scalars if not tag.startswith(_OWN_TAGS)]
    tags = [tag for tag in reported if is_reward_term(tag)] or reported
    tags = sorted(tags, key=lambda tag: -abs(scalars[tag]))[:_MOST_TERMS]
    names = [tag.rpartition("/")[2] for tag in tags]
    return {(name if names.count(name) == 1 else tag): scalars[tag] for tag, name in zip(tags, names, strict=True)}


class SilentConsole:
    """Shows nothing."""

    def show(self, report: IterationReport) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing to end."""


class PlainConsole(SilentConsole):
    """One line per iteration."""

    def show(self, report: IterationReport) -> None:
        """Print an iteration."""
        losses = "".join(f"{name} {number(value, 3)} " for name, value in report.losses.items())
        known = report.scalars
        print(
            f"iteration {report.iteration + 1}/{report.end_iteration}"
            f" | steps {report.total_steps:,} at {known['Perf/total_fps']:,.0f}/s"
            f" | reward {number(known.get('Train/mean_reward'))}"
            f" length {number(known.get('Train/mean_episode_length'), 0)}"
            f" | {losses}lr {known['Loss/learning_rate']:.1e} std {number(known.get('Policy/mean_std'))}"
            f" | {duration(report.elapsed)} left {duration(report.seconds_left)}",
            flush=True,
        )
        if report.evaluation:
            print(f"  evaluated: {evaluated(report.evaluation)}", flush=True)


class LiveConsole(SilentConsole):
    """A progress bar and a small table that are redrawn in place."""

    def __init__(self) -> None:
        """Raise ImportError where rich is not installed."""
        import rich.live  # noqa: F401

        self._live: Any = None
        self._evaluated: list[str] = []

    def show(self, report: IterationReport) -> None:
        """Redraw for an iteration."""
        from rich.console import Console, Group
        from rich.live import Live
        from rich.markup import escape
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        def grid(cells: Mapping[str, str]) -> Table:
            table = Table.grid(padding=(0, 2))
            pairs = [(f"[dim]{escape(name)}[/]", value) for name, value in cells.items()]
            for left, right in zip(pairs[::2], [*pairs[1::2], ("", "")], strict=False):
                table.add_row(*left, *right)
            return table

        if self._live is None:
            # Messages that are printed meanwhile go through this console, which would break paths at its width. The
            # commands' own streams let nothing control the terminal but this.
            file = getattr(sys.stdout, "unfiltered", sys.stdout)
            self._live = Live(console=Console(file=file, soft_wrap=True), refresh_per_second=4)
            self._live.start()
        if report.evaluation:
            text = f"iteration {report.iteration + 1} evaluated: {evaluated(report.evaluation)}"
            self._evaluated = [escape(text)]
        known = report.scalars
        done, total = report.iteration - report.start_iteration + 1, report.end_iteration - report.start_iteration
        head = Table.grid(padding=(0, 2))
        head.add_row(
            f"[bold]iteration {report.iteration + 1}/{report.end_iteration}[/]",
            ProgressBar(total=total, completed=done, width=32),
            f"{duration(report.elapsed)}, left {duration(report.seconds_left)}",
            f"{known['Perf/total_fps']:,.0f} steps/s",
        )
        cells = {
            "reward": number(known.get("Train/mean_reward")),
            "episode length": number(known.get("Train/mean_episode_length"), 0),
            "action std": number(known.get("Policy/mean_std")),
            "steps": f"{report.total_steps:,}",
            **{f"Loss/{name}": number(value, 3) for name, value in report.losses.items()},
            "learning rate": f"{known['Loss/learning_rate']:.1e}",
        }
        parts: list[Any] = [head, grid(cells)]
        if terms := largest_terms(known):
            parts += ["[dim]largest reward terms[/]", grid({name: number(value, 3) for name, value in terms.items()})]
        self._live.update(_WithinWidth(Group(*parts, *self._evaluated)))

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class _WithinWidth:
    """Wraps the redrawn part at the width of the terminal, whatever the console does with other text."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield from console.render(self._content, options.update(no_wrap=False, overflow="fold"))


def make_console() -> SilentConsole:
    """Return a live display on a terminal, plain lines elsewhere or where rich is missing."""
    with contextlib.suppress(ImportError, AttributeError, ValueError):  # There may be no output, or a closed one.
        if sys.stdout.isatty():
            return LiveConsole()
    return PlainConsole()
