# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""One thing that ``rsl-rl doctor`` looks at, and what came out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rsl_rl.cli.own_process import own_command, own_environment

Status = Literal["ok", "note", "missing", "failed"]


@dataclass(frozen=True)
class Check:
    """What came out of a look."""

    name: str
    status: Status
    """missing: optional, and not there. note: works, but may surprise. failed: needed, and does not work."""
    text: str = ""
    hint: str = ""
    """What to do about it."""


Look = Callable[[], Iterator[Check]]


def looked(look: Look) -> Iterator[Check]:
    """Yield what a look finds; one that raises has failed and says so."""
    try:
        yield from look()
    except Exception as error:  # a doctor does not fall ill
        name = look.__name__.strip("_").replace("_", " ")
        yield Check(name, "failed", f"this could not be looked at: {type(error).__name__}: {error}")


class ProbeError(Exception):
    """A probe did not work; the message says why."""


def probe(part: str, *arguments: str, seconds: float = 120, env: Mapping[str, str] | None = None) -> str:
    """Run a part of ``probe.py`` in a process of its own, whose crash does no harm here.

    Returns:
        What it says.

    Raises:
        ProbeError: It failed, crashed or took too long.
    """
    command = own_command("rsl_rl.cli.doctor.probe", part, *arguments)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**own_environment(), **(env or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"it did not end within {seconds:.0f} s") from None
    except OSError as error:
        raise ProbeError(f"it did not start: {error}") from None
    answers = [line for line in done.stdout.splitlines() if line.startswith('{"answer": ')]
    if done.returncode == 0 and answers:
        return json.loads(answers[-1])["answer"]
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        raise ProbeError(f"the process was ended by signal {-done.returncode}{f': {said[-1]}' if said else ''}")
    raise ProbeError(said[-1] if said else f"it ended with the exit code {done.returncode}")
