# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl COMMAND ...``: finds the command, and turns a user's mistake into one readable message."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsl_rl.cli.output import fault_tolerant_output
from rsl_rl.cli.startup import interrupt_ends_at_once

_COMMANDS = {
    "train": "train a task, an environment, or what a YAML file describes",
    "play": "run a trained policy and say how well it does",
    "eval": "measure and compare trained policies over many episodes",
    "export": "write a trained policy as ONNX, TorchScript and torch.export files",
    "plot": "draw learning curves of several runs and seeds",
    "report": "write one HTML page about a run",
    "sweep": "search for better settings of a task with many trainings",
    "doctor": "look at this installation and this machine, and try out what is needed",
    "bench": "measure the speed of this library on this machine, alone or against another installation",
    "migrate": "translate configurations and checkpoints of earlier releases",
    "tasks": "list the tasks that come with the library",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command, by default the one on the process's own command line.

    Raises:
        SystemExit: 2 after a user's error; 130 when interrupted, 143 when terminated, 129 when its terminal is gone.
    """
    with fault_tolerant_output(to_the_end=arguments is None):
        _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: list[str]) -> None:
    try:
        _run(arguments)
    except UserError as error:
        if os.environ.get("RSL_RL_DEBUG"):
            raise
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from rsl_rl.distributed import Watch

            # The other processes of this training shall know why they have to end.
            Watch.explain(error)
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return
    command, *rest = arguments
    if command == "--version":
        print(importlib.metadata.version("rsl-rl-lib"))
        return
    if command not in _COMMANDS:
        # Not before it is needed: the list of commands shall be there at once.
        from rsl_rl.utils.suggest import did_you_mean

        raise UserError(f"rsl-rl has no command '{command}'.{did_you_mean(command, _COMMANDS)}\n\n{_usage()}")
    warnings.showwarning = _show_warning
    with interrupt_ends_at_once():
        module: Any = importlib.import_module(f"rsl_rl.cli.{command}")
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{module.__name__}.{command}_command")
    from rsl_rl.utils import resolve

    resolve.own_folder = os.getcwd()  # For environments and models of the user's own.
    module.run(rest)


_COLOR_CODES = re.compile(r"\x1b\[[0-9;]*m")


class UserError(Exception):
    """A mistake that the user can correct; the message says how."""


@contextlib.contextmanager
def user_errors(only_ours: bool = False) -> Iterator[None]:
    """Within this block, the library's complaints about what it was given are the user's errors, not bugs.

    With ``only_ours`` what other code raises is left alone, except for errors of the operating system.
    """
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, AttributeError) as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        is_ours = Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent.parent)
        if is_ours or isinstance(error, OSError):
            raise UserError(str(error)) from error
        if only_ours:
            raise
        # For example from the user's own environment, where only a traceback helps.
        text = f"{type(error).__name__}: {error}\n(RSL_RL_DEBUG=1 shows where this comes from.)"
        raise UserError(text) from error


def _usage() -> str:
    commands = "\n".join(f"  {name:8} {summary}" for name, summary in _COMMANDS.items())
    return f"usage: rsl-rl COMMAND [OPTIONS]\n\n{commands}\n\n'rsl-rl COMMAND --help' lists a command's options."


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    if not issubclass(category, (DeprecationWarning, FutureWarning)):
        # Gymnasium colors its own.
        print(f"warning: {_COLOR_CODES.sub('', str(message))}", file=sys.stderr)
