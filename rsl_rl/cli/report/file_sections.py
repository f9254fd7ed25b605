# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The sections of a report that show files: exports, checkpoints, configuration, code, machine, warnings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsl_rl.cli.report.facts import CodeState, RunFacts
from rsl_rl.cli.report.markup import Html, code, definitions, details, element, joined, note, size, table, when
from rsl_rl.cli.run_folder import CONFIG
from rsl_rl.export.verification import TOLERANCE
from rsl_rl.utils.yaml_text import as_yaml

_LONGEST_TEXT = 200_000
_HARDWARE = {
    "cpu": "Processor",
    "cores": "Cores that the run may use",
    "memory_gib": "Memory",
    "gpu": "GPU",
    "gpus": "GPUs seen",
    "gpu_memory_gib": "Memory of a GPU",
    "cuda": "CUDA",
    "os": "System",
}


def exports(facts: RunFacts) -> Html:
    """List the files of the policy with the outcome of their check."""
    if not facts.exports:
        return note("None yet: ", code(f"rsl-rl export {facts.folder}"), " writes ONNX, TorchScript and pt2 files.")
    rows = []
    for file, stat, check in facts.exports:
        outcome: Html | str = "not recorded"
        if check is not None and "damage" in check:
            outcome, check = element("span", check["damage"], class_="warn"), None
        elif check is not None and not isinstance(check.get("max_difference"), (int, float)):
            outcome = "not checked"
        elif check is not None:
            worst = check["max_difference"]
            told = f"acts like the model, within {worst:.0e}" if worst else "acts like the model, number by number"
            outcome = element("span", told, class_="good")
        origin = "-" if check is None else f"{check.get('policy')}"
        samples = "-" if check is None else check.get("num_samples", "-")
        rows.append([code(file.name), size(stat.st_size), when(stat), origin, outcome, samples])
    explained = note(
        f"An export is run again and compared with the model on random observations; one whose actions differ by more "
        f"than {TOLERANCE:.0e} is not kept."
    )
    return joined([table(["file", "size", "written", "made from", "check", "compared on"], rows, False), explained])


def checkpoints(facts: RunFacts) -> Html:
    """List the checkpoints."""
    if not facts.checkpoints:
        return note("None.")
    rows = [[code(file.name), meaning, size(stat.st_size), when(stat)] for file, stat, meaning in facts.checkpoints]
    listing = table(["file", "holds", "size", "written"], rows, False)
    return listing if len(rows) <= 12 else details(f"{len(rows)} files", listing)


def configuration(facts: RunFacts) -> Html:
    """Show what differs from the preset or the defaults, and every value."""
    parts: list[Html] = []
    changed = facts.changed()
    if facts.config is not None and facts.baseline is not None:
        if changed:
            rows = [[code(key), element("mark", _value(value)), _value(other)] for key, value, other in changed]
            parts.append(table(["key", "this run", facts.baseline_name], rows, False))
        else:
            parts.append(note(f"Nothing differs from the {facts.baseline_name}."))
        lines = _marked(as_yaml(facts.config), {key for key, _, _ in changed})
        parts.append(details(f"Every value ({CONFIG})", element("pre", lines)))
    else:
        parts += [details(name, element("pre", _cut(text, name))) for name, text in facts.texts.items()]
    return joined(parts) if parts else note(f"Not recorded: there is no {CONFIG}.")


def code_state(facts: RunFacts) -> Html:
    """Show commit and changes of every repository."""
    if not facts.code:
        return note("Not recorded: the code was not under version control, or git is not installed.")
    return joined(_repository(state) for state in facts.code)


def _repository(state: CodeState) -> Html:
    clean = not state.changes and not state.diff
    untracked = sum(line.startswith("??") for line in state.changes)
    counts = f"{len(state.changes) - untracked} files changed, {untracked} not under version control"
    status = element("span", "clean" if clean else counts, class_="good" if clean else "warn")
    rows = [
        ("Branch", state.branch or "none checked out"),
        ("Commit", code(state.commit or "none")),
        ("State", status),
    ]
    parts = [element("h3", state.name), definitions(rows, "about")]
    if state.changes:
        parts.append(details("Files that differ from the commit", element("pre", "\n".join(state.changes))))
    if state.diff:
        shown = (
            element("span", line, class_={"+": "added", "-": "removed", "@": "place"}.get(line[:1]))
            for line in _cut(state.diff, f"git/{state.file.name}").splitlines()
        )
        parts.append(details("Difference to the commit", element("pre", joined(shown, "\n"), class_="diff")))
    return joined(parts)


def machine(facts: RunFacts) -> Html:
    """Show hardware and versions, of the last start; and of earlier ones where they differ."""
    if not facts.starts:
        return note("Not recorded: this run was made by another program, or an earlier release.")
    parts: list[Html] = []
    shown: list[tuple[Any, Any]] = []
    for start in reversed(facts.starts):
        known = (start.get("hardware"), start.get("versions"))
        if known in shown:
            continue
        shown.append(known)
        if len(shown) > 1:
            parts.append(element("h3", f"Start of {str(start.get('date', '?')).replace('T', ' ')[:16]}"))
        parts.append(_machine(start))
    return joined(parts)


def _machine(start: Mapping[str, Any]) -> Html:
    hardware, versions = start.get("hardware"), start.get("versions")
    found = hardware if isinstance(hardware, Mapping) else {}
    known = {key: found[key] for key in _HARDWARE if found.get(key) is not None}
    rows = [(_HARDWARE[key], f"{value} GiB" if key.endswith("_gib") else value) for key, value in known.items()]
    if isinstance(start.get("processes"), int) and start["processes"] > 1:
        rows.append(("Processes", start["processes"]))
    rows += versions.items() if isinstance(versions, Mapping) else ()
    missing = None if isinstance(hardware, Mapping) else note("The hardware is not recorded.")
    return joined([definitions(rows, "about columns"), missing])


def warnings(facts: RunFacts) -> Html:
    """List the warnings of the training, and what of this folder could not be read."""
    parts: list[Html] = []
    if facts.warnings:
        rows = [
            [entry.get("iteration", "-"), str(entry.get("time", "-")).replace("T", " ")[:19], entry.get("message", "")]
            for entry in facts.warnings
        ]
        parts.append(element("div", table(["iteration", "time", "warning"], rows, False), class_="long"))
    elif facts.starts and facts.starts[0].get("date"):
        parts.append(note("The training gave none."))
    else:
        parts.append(note("Not recorded."))
    if facts.problems:
        parts += [element("h3", "Could not be read"), element("ul", *(element("li", text) for text in facts.problems))]
    return joined(parts)


def repetition(facts: RunFacts) -> Html:
    """Say by which commands the run is made again, goes on, and is looked at."""
    commands: list[tuple[str, str]] = []
    for start in facts.starts:
        if isinstance(start.get("command"), list) and start["command"]:
            name, *rest = map(str, start["command"])
            program = "python -m rsl_rl" if Path(name).name == "__main__.py" else Path(name).name
            began = "Started by" if start.get("iteration") in (0, None) else f"Went on at {start['iteration']} by"
            commands.append((began, f"{program} {shlex.join(rest)}"))
    folder = shlex.quote(str(facts.folder))
    if facts.config is not None:
        commands += [
            ("The same again", f"rsl-rl train {folder}/{CONFIG}"),
            ("Go on with it", f"rsl-rl train --resume {folder} --iterations N"),
            ("See it act", f"rsl-rl play {folder}"),
        ]
    commands.append(("Draw its curves", f"rsl-rl plot {folder}"))
    hint = None
    if any(state.diff or state.changes for state in facts.code):
        hint = note("The code had changes that are in no commit: the difference above is needed, too.")
    return joined([definitions([(name, code(text)) for name, text in commands], "commands"), hint])


def _marked(text: str, changed: set[str]) -> Html:
    """Return YAML text with the lines of these keys marked."""
    lines, path = [], list[str]()
    for line in text.splitlines():
        found = re.match(r"( *)([^\s#:-][^:]*):", line)
        if found is None:
            lines.append(joined([line]))
            continue
        depth = len(found[1]) // 2
        path = [*path[:depth], found[2].strip('"')]
        lines.append(element("mark", line) if ".".join(path) in changed else joined([line]))
    return joined(lines, "\n")


def _cut(text: str, name: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}\n... cut here; {name} has all of it"


def _value(value: object) -> str:
    return as_yaml({"x": value}).strip().removeprefix("x:").strip()
