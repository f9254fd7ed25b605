# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Python programs in processes of their own, which begin with torch and tensordict imported.

Importing these takes 4 seconds of a core. Each process is a child of a server that has imported them, and nothing of
this library. Tests of what an import does start an interpreter instead.
"""

from __future__ import annotations

import atexit
import multiprocessing.process
import os
import runpy
import select
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_CONTEXT: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
_CONTEXT.set_forkserver_preload(["torch", "tensordict"])


def python(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run what ``subprocess.run([sys.executable, *arguments], capture_output=True, text=True)`` does; see start."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ("stdout", "stderr")]
        process = start(*arguments, cwd=cwd, env=env, files=(os.devnull, *outputs))
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, *(output.read_text() for output in outputs))


def on_terminal(
    *arguments: str | Path, typed: str = "", cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the same at a terminal, into which ``typed`` has been typed; ``stdout`` is all that the terminal shows."""
    import pty  # Windows has none.

    ours, theirs = pty.openpty()
    process = start(*arguments, cwd=cwd, env=env, files=[os.ttyname(theirs)] * 3)
    os.write(ours, typed.encode())
    written = b""
    while ours in select.select([ours, process.sentinel], [], [])[0]:
        written += os.read(ours, 65536)
    process.join()
    os.close(ours)
    os.close(theirs)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(arguments, process.exitcode, written.decode(), "")


def start(
    *arguments: str | Path,
    files: Sequence[str | Path],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> multiprocessing.process.BaseProcess:
    """Start ``python -c CODE``, ``-m MODULE`` or ``FILE`` with its arguments; the tests' modules are found.

    Args:
        files: What it reads from, and what it writes its output and its errors to: files or terminals.
        cwd: The working folder.
        env: The environment variables, if they are not those of the tests.
    """
    line = [str(argument) for argument in arguments]
    inherited = (line, str(cwd or Path.cwd()), dict(os.environ if env is None else env), [str(file) for file in files])
    process = _CONTEXT.Process(target=_become, args=inherited)
    process.start()
    return process


def _become(line: list[str], cwd: str, variables: dict[str, str], files: list[str]) -> None:
    """Make this process what ``python`` with these arguments is, and end it."""
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=stream.isatty() or stream is sys.stderr)  # type: ignore[union-attr]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    code = 1
    try:
        _run(line)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run(line: list[str]) -> None:
    while line[0] == "-W":
        warnings.simplefilter(line[1])  # type: ignore[arg-type]
        line = line[2:]
    if line[0] == "-c":
        sys.path[:0] = ["", str(ROOT)]
        sys.argv = ["-c", *line[2:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(line[1], "<string>", "exec"), main.__dict__)
    elif line[0] == "-m":
        sys.path[:0] = [os.getcwd(), str(ROOT)]
        sys.argv = ["", *line[2:]]
        runpy.run_module(line[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[:0] = [str(Path(line[0]).absolute().parent), str(ROOT)]
        sys.argv = line
        runpy.run_path(line[0], run_name="__main__")
