# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring in turns: one process per variant, of which all are idle but one.

A machine is faster at one moment than at another. What is compared therefore works in turns, and a ratio is that of two
neighbouring rounds, of which the median over all rounds is taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsl_rl.cli.main import UserError
from rsl_rl.cli.own_process import own_environment

WORKER = Path(__file__).with_name("timed_training.py")
ROUND_SECONDS = 1.0
"""How long a round should take; a short iteration is repeated, at most :data:`MAX_ITERATIONS` times."""
MAX_ITERATIONS = 20

Round = dict[str, float]
"""Of one iteration the seconds of ``collect``, ``learn`` and all of it, ``iteration``; ``memory_mb``, the peak of the
process without what torch itself takes, and ``peak_mb`` with it."""


class Variant:
    """A process that trains one case, and waits unless it is asked for a round."""

    def __init__(self, name: str, python: str, case: Mapping[str, Any], worker: Path = WORKER) -> None:
        """Start the process, for which :meth:`imported` waits; case and worker are as in ``timed_training.py``."""
        # Ours finds this very library, another one only what is installed there.
        env = own_environment()
        if python != sys.executable:
            env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        self.name = name
        self._case = case
        # Not a pipe, which would block the worker when nobody reads it.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed with the process)
        try:
            self._process = subprocess.Popen(
                [python, str(worker)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                errors="replace",
                env=env,
            )
        except OSError as error:
            raise UserError(f"{name} does not start: {error}") from error

    def imported(self) -> dict[str, Any]:
        """Wait until the library is imported; return the worker's versions."""
        return self._answer()

    def prepare(self) -> dict[str, float]:
        """Build the training and warm it up; return the seconds that took, and those of its last iteration."""
        return self._answer(json.dumps(self._case))

    def play(self, iterations: int) -> Round:
        """Make some iterations while all other variants wait."""
        return self._answer(str(iterations))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self, question: str = "") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if question:
            # A process that has failed says why in its last words.
            with contextlib.suppress(BrokenPipeError):
                print(question, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        with contextlib.suppress(ValueError):
            return json.loads(line)
        self._process.kill()
        code = self._process.wait()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors if line.strip()]
        reason = said[-1] if said else line.strip() or f"it ended with the exit code {code}"
        raise UserError(f"{self.name} cannot be measured: {reason}")


class Turns(contextlib.AbstractContextManager["Turns"]):
    """Variants that are measured against each other; their processes end with the ``with`` block."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        self.variants = list(variants)
        self.warm_up: dict[str, dict[str, float]] = {}
        """By variant: seconds of the first iterations, ``warm_up``, and of the last of them, ``iteration``."""

    def __exit__(self, *_: object) -> None:
        for variant in self.variants:
            variant.close()

    def prepare(self) -> None:
        """Warm up one variant after the other; a UserError says why one cannot train its case."""
        for variant in self.variants:
            self.warm_up[variant.name] = variant.prepare()

    def play(self, index: int, iterations: int) -> dict[str, Round]:
        """Let every variant make a round, and another one begin each time."""
        first = index % len(self.variants)
        order = self.variants[first:] + self.variants[:first]
        return {variant.name: variant.play(iterations) for variant in order}


def iterations_per_round(seconds: Iterable[float]) -> int:
    """Return the number of iterations in about :data:`ROUND_SECONDS` of the slowest variant."""
    return max(1, min(MAX_ITERATIONS, round(ROUND_SECONDS / max(seconds))))
