# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Follows an iteration from ``learn()`` to the first optimizer step: python scripts/iteration_path.py.

It prints the functions of the package in the order in which they are entered, as a table; ``--write`` puts the table
between ``<!-- iteration -->`` and ``<!-- end -->`` in docs/architecture.md.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import io
import re
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import rsl_rl  # noqa: E402
from rsl_rl.learning import Optimizer  # noqa: E402
from rsl_rl.runners import OnPolicyRunner  # noqa: E402
from tests.envs import PointEnv, point_config  # noqa: E402

PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = Path(rsl_rl.__file__).parent
WARM_UP = 2
"""Iterations before: what is looked at once is no part of the path."""
_TABLE = re.compile(r"(<!-- iteration -->\n).*?(<!-- end -->)", flags=re.DOTALL)


class Function(NamedTuple):
    """A function on the path."""

    file: str
    name: str
    num_lines: int
    summary: str


class Iteration(NamedTuple):
    """What was entered on the way."""

    functions: list[Function]
    """In the order of their first call, from ``learn`` on; comprehensions and lambdas are parts of the others."""
    to_backward: list[Function]
    """Those between ``learn()`` and the first ``backward()`` of torch, from the outside to the inside."""


def measured() -> Iteration:
    """Follow the third iteration of a small PPO with default options."""
    torch.manual_seed(0)
    runner = OnPolicyRunner(PointEnv(num_envs=8), point_config())
    entered: dict[CodeType, None] = {}
    to_backward: list[CodeType] = []
    optimizer_step, learn = inspect.unwrap(Optimizer.step_unless).__code__, OnPolicyRunner.learn.__code__

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code is optimizer_step:
            sys.setprofile(None)
        elif code is torch.Tensor.backward.__code__ and not to_backward:
            to_backward.extend(_callers(frame, learn))
        elif _is_of_package(code):
            entered[code] = None

    with contextlib.redirect_stdout(io.StringIO()):
        runner.learn(WARM_UP)
        sys.setprofile(watch)
        try:
            runner.learn(1)
            reached = sys.getprofile() is None
        finally:
            sys.setprofile(None)
    if not reached or not to_backward:
        raise RuntimeError("The iteration has no backward() or no optimizer step that this script knows.")
    return Iteration([_described(code) for code in entered], [_described(code) for code in to_backward])


def table() -> str:
    """Return the path as a Markdown table."""
    lines = ["| file of `rsl_rl` | function | what it does |", "| --- | --- | --- |"]
    lines += [f"| `{each.file}` | `{each.name}` | {each.summary} |" for each in measured().functions]
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """Return the page with the table as the code has it now."""
    return _TABLE.sub(lambda match: f"{match[1]}{table()}{match[2]}", page)


def _callers(frame: FrameType, outermost: CodeType) -> list[CodeType]:
    """Return the functions of the package between two, from the outside to the inside."""
    found: list[CodeType] = []
    caller = frame.f_back
    while caller is not None and caller.f_code is not outermost:
        if _is_of_package(caller.f_code):
            found.insert(0, caller.f_code)
        caller = caller.f_back
    return found


def _is_of_package(code: CodeType) -> bool:
    return code.co_filename.startswith(f"{PACKAGE}/") and not code.co_name.startswith("<")


def _described(code: CodeType) -> Function:
    file = Path(code.co_filename)
    name, summary = _definitions(file)[code.co_firstlineno]
    return Function(file.relative_to(PACKAGE).as_posix(), name, len(inspect.getsourcelines(code)[0]), summary)


@functools.cache
def _definitions(file: Path) -> dict[int, tuple[str, str]]:
    """Return qualified names and summaries of a file's functions, by their first line."""
    found: dict[int, tuple[str, str]] = {}

    def visit(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = scope
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{scope}{child.name}."
            if isinstance(child, ast.FunctionDef):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                found[first] = (
                    inner[:-1],
                    (ast.get_docstring(child) or "").split("\n")[0].replace("``", "`").replace("|", "\\|"),
                )
            visit(child, inner)

    visit(ast.parse(file.read_text()), "")
    return found


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(filled(PAGE.read_text()))
    else:
        path = measured()
        print(table())
        files, lines = {each.file for each in path.functions}, sum(each.num_lines for each in path.functions)
        print(f"{len(path.functions)} functions, {lines} lines, {len(files)} files, and to backward():")
        print(" > ".join(f"{each.name}" for each in path.to_backward))
