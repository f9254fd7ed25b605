# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl report``."""

from __future__ import annotations

import base64
import hashlib
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.main import user_errors
from rsl_rl.cli.own_runs import check_links
from rsl_rl.cli.report.charts import MOST_POINTS, STRETCHES, curve_data
from rsl_rl.cli.report.markup import Html, element, joined, note, size
from rsl_rl.cli.run_folder import CONFIG, Run
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.telemetry.history import EVENTS
from rsl_rl.telemetry.metrics_csv import FILE_NAME
from rsl_rl.telemetry.provenance import installed_version
from rsl_rl.utils.atomic_files import write_whole

if TYPE_CHECKING:
    from rsl_rl.cli.report.facts import RunFacts

PAGE = "report.html"
_ASSETS = Path(__file__).parent / "page"


@dataclass(frozen=True)
class ReportArguments:
    """Write one HTML page about a run. It needs no other file and no network."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder, also of another program, or a task's name for its newest run."""
    output: Path | None = None
    """The page; report.html in the run's folder if left out."""
    trust: bool = False
    """Taken as by the other commands; this one executes nothing that a run names."""


def run(arguments: list[str]) -> None:
    """Write the report of a run."""
    chosen = parsed(ReportArguments, arguments, prog="rsl-rl report")
    with user_errors():
        folder = _folder(chosen.run)
        check_links(folder)
        path = chosen.output or folder / PAGE
        load_pytorch()
        from rsl_rl.cli.report.facts import RunFacts

        # Names of files and texts of a run may hold what is not a character.
        facts = RunFacts(folder)
        page = report_page(facts).encode(errors="replace")
        write_whole(path, page)
    for problem in facts.problems:
        print(f"warning: {problem}", file=sys.stderr)
    shown = str(path).encode(errors="replace").decode()
    print(f"{shown}: {size(len(page))}, opens in any browser")


def report_page(facts: RunFacts) -> str:
    """Return the page about a run.

    Its content security policy lets a browser run the page's own program and nothing else, and load nothing at all.
    """
    from rsl_rl.cli.report import file_sections, number_sections

    # In the order of the page; those about numbers share one bar of controls.
    plots = {
        "curves": ("Curves", number_sections.curves),
        "reward-terms": ("Reward terms", number_sections.reward_terms),
        "update": ("Losses and update", number_sections.update),
        "throughput": ("Throughput", number_sections.throughput),
        "evaluation": ("Evaluation", number_sections.evaluation),
    }
    files = {
        "exports": ("Exports", file_sections.exports),
        "checkpoints": ("Checkpoints", file_sections.checkpoints),
        "configuration": ("Configuration", file_sections.configuration),
        "code": ("Code", file_sections.code_state),
        "machine": ("Machine and versions", file_sections.machine),
        "warnings": ("Warnings", file_sections.warnings),
        "repeat": ("How to repeat it", file_sections.repetition),
    }
    style = (_ASSETS / "report.css").read_text(encoding="utf-8")
    program = (_ASSETS / "report.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(program)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    links, bodies = [], {}
    for name, (title, part) in (plots | files).items():
        links.append(element("a", title, href=f"#{name}"))
        heading = element("h2", title, id=f"{name}-title")
        bodies[name] = element("section", heading, part(facts), id=name, aria_labelledby=f"{name}-title")
    made = f"Written {datetime.now():%Y-%m-%d %H:%M} by rsl-rl-lib {installed_version('rsl-rl-lib') or 'unknown'}."
    values = {
        "title": element("title", f"{facts.title}: training report"),
        "policy": element("meta", http_equiv="Content-Security-Policy", content=policy).removesuffix("</meta>"),
        "style": style,
        "navigation": element("nav", *links, aria_label="Sections"),
        "header": number_sections.header(facts),
        "controls": _controls(facts),
        "plots": joined(bodies[name] for name in plots),
        "files": joined(bodies[name] for name in files),
        "footer": element("footer", note(made)),
        "data": curve_data(facts.history) if facts.history.tags else "null",
        "program": program,
    }
    page = (_ASSETS / "report.html").read_text(encoding="utf-8")
    # In one pass: what is filled in may hold such a mark itself.
    pieces = page.split("{{")
    filled = (piece.partition("}}") for piece in pieces[1:])
    return pieces[0] + "".join(f"{values[name]}{rest}" for name, _, rest in filled)


def _folder(name: str) -> Path:
    """Return the folder of a run, also of one that has no configuration."""
    place = Path(name)
    if (place / FILE_NAME).is_file() or any(place.glob(EVENTS)) or any(place.glob("model_*.pt")):
        return place
    # Folders within one with a configuration are runs of their own; hidden ones, such as Hydra's, are not.
    holds_runs = any(not config.parent.name.startswith(".") for config in place.glob(f"*/{CONFIG}"))
    if not holds_runs and any(place.rglob(EVENTS)):
        return place
    return Run(name).folder


def _controls(facts: RunFacts) -> Html:
    history = facts.history
    if not history.tags:
        return Html("")
    names = {"steps": "environment steps", "iteration": "iterations", "seconds": "training time"}
    axes = [axis for axis in names if axis in history.axes]
    over = element("select", *(element("option", names[axis], value=axis) for axis in axes), id="axis")
    is_thinned = any(len(history.series(tag, history.axes[0])[1]) > MOST_POINTS for tag in history.tags)
    widths = {1: "off"}
    for width in (5, 20, 50):
        share = f", or {100 * width / STRETCHES:g} % of a long curve" if is_thinned else ""
        widths[width] = f"mean of {width} points{share}"
    smooth = element("select", *(element("option", text, value=width) for width, text in widths.items()), id="smooth")
    peaks = f" Of a curve of more than {MOST_POINTS:,} points, lowest and highest are drawn." if is_thinned else ""
    return element(
        "div",
        element("label", "Over ", over),
        element("label", "Smoothing ", smooth),
        element("button", "Whole range", type="button", id="reset", disabled=True),
        element("span", f"Drag across a curve to zoom, double-click to return.{peaks}", class_="hint"),
        class_="controls",
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
