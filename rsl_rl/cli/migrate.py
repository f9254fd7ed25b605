# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl migrate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.main import user_errors
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.compat.configurations import modernize_config
from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.limits import parse_json, read_limited
from rsl_rl.utils.recognition import why_not_text
from rsl_rl.utils.yaml_text import as_yaml, read_yaml

_CONFIGURATIONS = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class MigrateArguments:
    """Translate files of an earlier release (1.x to 4.x) into the current layout. The old files are not changed."""

    old: Annotated[Path, tyro.conf.Positional]
    """A configuration (.yaml, .json), a checkpoint (.pt), or a run's folder with both."""
    output: Path | None = None
    """Where to write; a folder for a folder. Left out: a configuration is printed, a checkpoint only looked at."""
    groups: tuple[str, ...] = ()
    """Observation groups that the environment gives, for configurations without obs_groups."""


def run(arguments: list[str]) -> None:
    """Translate a configuration, a checkpoint or a folder."""
    chosen = parsed(MigrateArguments, arguments, prog="rsl-rl migrate")
    with user_errors():
        if not chosen.old.exists():
            raise FileNotFoundError(f"There is nothing at '{chosen.old}'.")
        if chosen.output is not None and chosen.output.exists():
            raise FileExistsError(f"'{chosen.output}' exists already and was not changed: choose another --output.")
        if chosen.old.is_dir():
            _migrate_folder(chosen.old, chosen.output, chosen.groups)
        elif chosen.old.suffix == ".pt":
            _migrate_checkpoint(chosen.old, chosen.output)
        else:
            _migrate_configuration(chosen.old, read_configuration(chosen.old), chosen.output, chosen.groups)


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a runner's configuration as plain data, or raise ValueError; nothing in it is executed."""
    if path.suffix not in _CONFIGURATIONS:
        advice = {
            ".pkl": "Reading a pickle would execute what is in it: write the configuration as JSON or YAML first.",
            ".py": "A configuration in Python is translated when the runner gets it; the message shows the new form.",
        }.get(path.suffix, "")
        kinds = "a configuration (.yaml, .yml, .json), a checkpoint (.pt) or a folder"
        raise ValueError(f"'{path}' is not {kinds}. {advice}".rstrip())
    if path.suffix == ".json":
        try:
            document = parse_json(read_limited(path))
        except ValueError as error:
            raise ValueError(f"'{path}' cannot be read: {why_not_text(path, error)}") from error
    else:
        document = read_yaml(path)
    if not isinstance(document, Mapping) or not {"algorithm", "policy", "runner"} & set(document):
        raise ValueError(
            f"'{path}' is not a runner's configuration: it has none of the sections 'algorithm', 'policy' and 'runner'."
        )
    return dict(document)


def _migrate_configuration(
    path: Path, document: dict[str, Any], output: Path | None, groups: Sequence[str], guess: str = ""
) -> None:
    # A task has the runner's configuration in a section.
    is_task = isinstance(document.get("runner"), Mapping) and not {"algorithm", "policy"} & set(document)
    runner, changes = modernize_config(
        document["runner"] if is_task else document, groups or None, import_classes=False
    )
    new = {**document, "runner": runner} if is_task else runner
    first, second = ("student", "teacher") if "student" in runner else ("actor", "critic")
    sets = runner.get("obs_groups") or {}
    notes: list[str] = []
    if guess and any(change.startswith("obs_groups") and "missing" in change for change in changes):
        notes.append(guess)
    if changes and second not in sets:
        notes.append(
            f"obs_groups.{second}: until it is there, training takes the environment's group '{second}', else "
            f"'privileged', else 'policy', as earlier releases did ({first}: 'policy'). Add it, or name the "
            "environment's groups with --groups"
        )
    if not changes:
        print(f"{path}: already in the current layout.", file=sys.stderr)
    heading = [f"Translated by 'rsl-rl migrate' from {path.name}:", *(f"  - {change}" for change in changes)]
    comments = "".join(f"# {line}\n" for line in [*heading, *(f"Check {note}." for note in notes)])
    text = (comments if changes else "") + as_yaml(new)
    if output is None:
        print(text, end="")
        return
    if output.suffix == ".json":
        text = json.dumps(new, indent=2, ensure_ascii=False) + "\n"
    write_whole(output, text)
    print(f"{output}: written" + "".join(f"\n  - {change}" for change in changes))
    for note in notes:
        print(f"  check {note}")


def _migrate_checkpoint(path: Path, output: Path | None) -> None:
    load_pytorch()
    from rsl_rl.checkpoint import read_checkpoint, write_checkpoint
    from rsl_rl.compat.checkpoints import layout_of, modernize

    document = read_checkpoint(path, map_location="cpu")
    layout = layout_of(document)
    if layout is None:
        if not any(key.endswith("_state_dict") for key in document):
            raise ValueError(
                f"'{path}' is not a checkpoint of a training run. It has: {', '.join(document) or 'nothing'}."
            )
        if output is not None:
            write_whole(output, path.read_bytes())
        print(f"{path}: already in the current layout.{'' if output is None else f' Copied to {output}.'}")
        return
    new = modernize(document)
    if output is None:
        print(f"{path}: layout of rsl_rl {layout}; loads as it is, and --output writes it in the current layout.")
        return
    write_checkpoint(new, output)
    print(f"{output}: written, from the layout of rsl_rl {layout}")


def _migrate_folder(folder: Path, output: Path | None, groups: Sequence[str]) -> None:
    checkpoints = sorted(folder.glob("model_*.pt"), key=lambda file: (len(file.name), file.name))
    configurations: dict[Path, dict[str, Any]] = {}
    for file in sorted([*folder.glob("*.*"), *folder.glob("params/*.*")]):
        if file.suffix in _CONFIGURATIONS:
            try:
                configurations[file] = read_configuration(file)
            except (ValueError, OSError) as error:  # Something else, for example the environment's configuration.
                print(f"{file}: left out. {error}", file=sys.stderr)
    if not checkpoints and not configurations:
        raise ValueError(f"The folder '{folder}' has neither a checkpoint (model_*.pt) nor a runner's configuration.")
    guess = ""
    if checkpoints and not groups:
        groups, guess = _groups_from(checkpoints[-1])
    for file in configurations:
        target = output / file.relative_to(folder) if output is not None else None
        _migrate_configuration(file, configurations[file], target, groups, guess)
    for file in checkpoints:
        _migrate_checkpoint(file, output / file.name if output is not None else None)


def _groups_from(checkpoint: Path) -> tuple[list[str], str]:
    """Guess the groups that 2.x took for granted from the sizes of the networks; return them and what to check."""
    load_pytorch()
    from rsl_rl.checkpoint import read_checkpoint
    from rsl_rl.compat.checkpoints import modernize

    document = modernize(read_checkpoint(checkpoint, map_location="cpu"))
    sizes: list[int | None] = []
    for part in ("actor", "critic"):
        state = document.get(f"{part}_state_dict", {})
        weight = state.get("rnn.rnn.weight_ih_l0", state.get("mlp.0.weight"))
        sizes.append(None if weight is None else weight.shape[1])
    actor, critic = sizes
    if actor is None or critic is None:
        return [], ""
    if actor == critic:
        return ["policy"], ""
    guess = f"obs_groups.critic: the critic saw {critic} numbers, the actor {actor}, so it had a group of its own"
    return ["policy", "critic"], guess
