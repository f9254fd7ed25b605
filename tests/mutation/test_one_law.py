# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""There is one law: whoever edits one of its lines has edited it for every model and every engine.

By default all models are trained with all edits eagerly, captured and in two processes, and one model per edit as
``torch.compile`` traces it. Generating code takes the time: one edit in each of the modes has it, and with
``RSL_RL_FULL_MATRIX=1`` all models with all edits in all modes.
"""

from __future__ import annotations

import os
import shutil
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.mutation.training import COMPILE_MODES, MODELS, Learned
from tests.processes import start

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
AGREE, DIFFER = 1e-5, 1e-4
GAUSSIANS = tuple(model for model in MODELS if model != "beta")


class Edit(NamedTuple):
    """One line of the law, and another one."""

    file: str
    old: str
    new: str
    compiled: str
    """The model that is compiled with this edit."""
    concerns: tuple[str, ...] = tuple(MODELS)
    """The models that must learn something else."""


EDITS = {
    "value loss": Edit(
        "algorithms/ppo.py",
        "value_loss = value_error.mean()",
        "value_loss = (value_error / (1 + value_error)).mean()",
        "mlp",
    ),
    "surrogate clip": Edit("algorithms/ppo.py", "surrogate = larger(", "surrogate = torch.min(", "cnn"),
    "entropy sign": Edit("algorithms/ppo.py", "- self.entropy_coef * entropy", "+ self.entropy_coef * entropy", "lstm"),
    "advantage normalization": Edit(
        "algorithms/ppo.py", "storage.advantages.copy_(normalized(", "storage.advantages.copy_(0.5 * normalized(", "gru"
    ),
    "time-out rule": Edit(
        "algorithms/ppo.py",
        "rewards + self.gamma * self.value_at_time_outs(",
        "rewards - self.value_at_time_outs(",
        "mlp",
    ),
    "learning-rate rule": Edit("algorithms/ppo.py", "(rate / 1.5)", "(rate / 1.2)", "mlp"),
    "log-density of the Gaussian": Edit(
        "modules/distribution_values.py",
        "deviation.square().sum(dim=-1), alpha=0.5",
        "deviation.abs().sum(dim=-1), alpha=0.5",
        "mlp",
        GAUSSIANS,
    ),
    "log-density of the Beta": Edit(
        "modules/distribution_values.py", "(self.alpha - 1) * x.log()", "2 * self.alpha * x.log()", "beta", ("beta",)
    ),
}
COPIES = ["unedited", *EDITS]
# The edits for which code is generated, by the mode.
GENERATED = {"value loss": [COMPILE_MODES[0]], "log-density of the Beta": [COMPILE_MODES[1]]}


def copy_package(folder: Path, edit: Edit | None) -> None:
    """Copy the package, with the edit made."""
    shutil.copytree(ROOT / "rsl_rl", folder / "rsl_rl", ignore=shutil.ignore_patterns("__pycache__"))
    if edit is not None:
        file = folder / "rsl_rl" / edit.file
        text = file.read_text()
        assert text.count(edit.old) == 1, f"'{edit.old}' must occur once in {edit.file}."
        file.write_text(text.replace(edit.old, edit.new))


def engines(edit: str, model: str) -> list[str]:
    """Return the engines of a single process to train with."""
    if os.environ.get("RSL_RL_FULL_MATRIX"):
        return ["eager", "capture", "traced", *COMPILE_MODES]
    compiled = GENERATED.get(edit, ["traced"]) if edit in EDITS and EDITS[edit].compiled == model else []
    return ["eager", "capture", *compiled]


def start_worker(folder: Path, rank: int, port: int, models: list[str]) -> BaseProcess:
    jobs = [f"{edit}:{model}:{engine}" for edit in COPIES for model in models for engine in engines(edit, model)]
    jobs += [f"{edit}:{model}:together" for edit in COPIES for model in MODELS]
    files = (os.devnull, *[folder / f"output_{rank}"] * 2)
    return start(HERE / "worker.py", folder, str(rank), str(port), *jobs, files=files)


def difference(found: Learned, expected: Learned) -> float:
    """Return the largest difference of any parameter or statistic, or of the learning rate."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
def test_whoever_edits_the_law_edits_it_for_every_model_and_engine(tmp_path: Path) -> None:
    for name in COPIES:
        copy_package(tmp_path / name, EDITS.get(name))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # Two processes that share out the models, each of which is compiled anew, and then learn together.
    shares = (["mlp", "gru"], ["cnn", "lstm", "beta"])
    workers = [start_worker(tmp_path, rank, port, models) for rank, models in enumerate(shares)]
    for worker in workers:
        worker.join()
    outputs = [(tmp_path / f"output_{rank}").read_text() for rank in range(2)]
    assert [worker.exitcode for worker in workers] == [0, 0], "\n".join(outputs)
    learned: list[dict[str, Learned]] = [torch.load(tmp_path / f"learned.{rank}") for rank in range(2)]
    alone = learned[0] | learned[1]

    failures: list[str] = []
    for edit in COPIES:
        for model in MODELS:
            expected = alone[f"{edit}:{model}:eager"]
            found = {engine: alone[f"{edit}:{model}:{engine}"] for engine in engines(edit, model)}
            found |= {f"process {rank} of 2": learned[rank][f"{edit}:{model}:together"] for rank in range(2)}
            for engine, parameters in found.items():
                if (error := difference(parameters, expected)) > AGREE:
                    failures.append(f"{edit}, {model}, {engine}: not what the eager way learns, off by {error:.1e}")
                change = difference(parameters, alone[f"unedited:{model}:eager"])
                if edit in EDITS and (change > DIFFER) != (model in EDITS[edit].concerns):
                    failures.append(f"{edit}, {model}, {engine}: the edit changes parameters by {change:.1e}")
    assert not failures, "\n".join(failures)
