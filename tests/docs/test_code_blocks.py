# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Every code block of the pages does what it says.

The blocks of a page are run in their order, in one empty folder and one namespace. A block whose first line is the name
of a file (``# my_env.py``) lies in the folder under that name. Commands are made smaller, see ``commands.py``.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import typing
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.cli.sweep.sweep_file import read_sweep
from rsl_rl.config.options import resolve_runner_config
from rsl_rl.config.schema import RunnerConfig
from rsl_rl.config.task import TaskConfig, read_task
from rsl_rl.telemetry.writer_config import configured_writers
from rsl_rl.utils.yaml_text import as_yaml, parse_yaml_text
from tests.docs.blocks import PAGES, ROOT, Block, blocks, commands
from tests.docs.commands import run_or_check

ALL = [block for page in PAGES for block in blocks(page)]
_RUNNER_KEYS = {field.name for field in dataclasses.fields(RunnerConfig)}
_TASK_KEYS = {field.name for field in dataclasses.fields(TaskConfig)}
_RUNTIME = "onnxruntime_cxx_api.h"
# What a file of the user's own holds, in pages that only name it.
_MY_YAML = """
env: gym:InvertedPendulum-v5
runner:
  num_steps_per_env: 8
  save_interval: 1
  obs_groups: {actor: [policy], critic: [policy]}
  algorithm: {class_name: PPO}
  actor: {class_name: MLPModel, hidden_dims: [8], distribution_cfg: {class_name: GaussianDistribution}}
  critic: {class_name: MLPModel, hidden_dims: [8]}
"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "small"


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    threads, imported = torch.get_num_threads(), set(sys.modules)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    (tmp_path / "my.yaml").write_text(_MY_YAML)
    try:
        for block in blocks(page):
            if block.file is not None:
                (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / block.file).write_text(block.text)
            if block.reason is not None:
                continue
            try:
                _KINDS[block.language](block, tmp_path, runs, namespace)
            except Exception as error:
                raise AssertionError(f"{block} fails: {type(error).__name__}: {error}") from error
        if page.name == "README.md" and page.parent == ROOT:
            assert (tmp_path / "runs/from-python/exports/policy.onnx").is_file()
            assert (tmp_path / "runs/from-python/model_9.pt").is_file()
    finally:
        torch.set_num_threads(threads)
        for name in set(sys.modules) - imported:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def run_python(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    path = folder / (block.file or f"block_{block.line}.py")
    path.write_text(block.text)
    exec(compile(block.text, str(path), "exec"), namespace)


def run_bash(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    for line in commands(block.text):
        run_or_check(line, folder, runs)


def check_yaml(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    """A task, a sweep, a runner's configuration of any release, or some of the keys of a task or runner."""
    document = parse_yaml_text(block.text)
    assert isinstance(document, dict), "a YAML block is a mapping"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that earlier layouts are translated
        if {"task", "parameters"} <= set(document):
            path = folder / "sweep.yaml"
            path.write_text(block.text)
            read_sweep(str(path))
            return
        if "runner" in document and not {"policy", "actor"} & set(document):
            path = folder / "task.yaml"
            path.write_text(block.text)
            read_task(path)
            return
        if {"algorithm", "save_interval"} <= set(document) or "runner" in document:
            resolve_runner_config(document, ["policy", "privileged"])
            return
        unknown = set(document) - _RUNNER_KEYS - _TASK_KEYS
        assert not unknown, f"{unknown} are keys of neither a task nor a runner"
        path = folder / "task.yaml"
        path.write_text(as_yaml({"runner": {"num_steps_per_env": 1, "save_interval": 1, **document}}))
        read_task(path)
        if "logger" in document:
            configured_writers(document["logger"], document)


def check_cpp(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    """Compiled where the headers are; without them it must at least be whole."""
    assert block.text.count("{") == block.text.count("}")
    assert "#include" in block.text
    header = next(
        (place for place in ("/usr/include", "/usr/local/include") if (Path(place) / _RUNTIME).exists()), None
    )
    compiler = shutil.which("g++")
    if compiler and (header or _RUNTIME not in block.text):
        path = folder / (block.file or "block.cpp")
        path.write_text(block.text)
        subprocess.run([compiler, "-std=c++17", "-fsyntax-only", str(path)], check=True, capture_output=True)


def check_json(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    json.loads(block.text)


def leave(block: Block, folder: Path, runs: Path, namespace: dict[str, Any]) -> None:
    """What a program prints."""


_KINDS: dict[str, typing.Callable[[Block, Path, Path, dict[str, Any]], None]] = {
    "python": run_python,
    "bash": run_bash,
    "yaml": check_yaml,
    "cpp": check_cpp,
    "json": check_json,
    "text": leave,
}


@pytest.mark.parametrize("block", ALL, ids=str)
def test_every_block_says_what_it_is(block: Block) -> None:
    assert block.language in _KINDS, f"{block} is '{block.language}', not one of {sorted(_KINDS)}"


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    skipped = {str(block): block.reason for block in ALL if block.reason is not None}
    assert all(len(str(reason).split()) > 2 for reason in skipped.values()), skipped
    assert len(skipped) <= 10, skipped


def test_every_fence_is_part_of_a_block() -> None:
    for page in PAGES:
        fences = sum(line.strip().startswith("```") for line in page.read_text().splitlines())
        assert fences == 2 * len(blocks(page)), page


@pytest.mark.parametrize(
    "line",
    [
        "rsl-rl trian cartpole-balance",
        "rsl-rl train cartpole-balance --learning-rat 1",
        "rsl-rl train cartpole-balance --num-envs many",
        "rsl-rl train cartpole --seed 3",
        "rsl-rl train no_such_file.yaml",
        "rsl-rl play no-such-run",
        "rsl-rl bench --no-such-option",
        "torchrun --nproc-per-node=2 -m rsl_rl train cartpole-balance --num-env 32",
        "make nonsense",
        'pip install ".[nonsense]"',
        "pip install -r no_such_file.txt",
        "python no_such_file.py",
        "python examples/showcase.py --nonsense",
        "unheard-of --option",
    ],
)
def test_a_wrong_command_is_noticed(line: str, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        run_or_check(line, tmp_path, runs)


@pytest.mark.parametrize(
    "text",
    [
        "learning_rate: 1.0e-3",  # a key of a section, without it
        "algorithm: {class_name: PPO, clip: 0.2}",
        "actor: {class_name: MLPModel, hidden_dims: wide}",
        "logger: tensorbord",
        "env: gym:Ant-v5\nrunner: {num_steps_per_env: 24}",
    ],
)
def test_a_wrong_configuration_is_noticed(text: str, tmp_path: Path) -> None:
    block = Block(ROOT / "README.md", 1, "yaml", text, None)
    with pytest.raises((AssertionError, ValueError, TypeError)):
        check_yaml(block, tmp_path, tmp_path, {})
