# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoint files: atomic, refused when damaged, never executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from rsl_rl.checkpoint import read_checkpoint, write_checkpoint
from rsl_rl.utils.atomic_files import replaced_when_complete
from tests.processes import python

DOCUMENT = {"actor_state_dict": {"weight": torch.arange(1000.0)}, "iter": 3, "infos": {"note": "a"}}


def test_round_trip_creates_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model_3.pt"
    write_checkpoint(DOCUMENT, path)
    document = read_checkpoint(path)
    assert torch.equal(document["actor_state_dict"]["weight"], torch.arange(1000.0))
    assert (document["iter"], document["infos"]) == (3, {"note": "a"})
    assert [file.name for file in path.parent.iterdir()] == ["model_3.pt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(DOCUMENT, path)
    before = path.read_bytes()
    with (
        pytest.warns(UserWarning, match="holds a function at 'bad'"),
        pytest.raises((pickle.PicklingError, AttributeError)),
    ):
        write_checkpoint({"bad": lambda: None}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    # A real limit on the size of written files, in a process of its own.
    path = tmp_path / "model.pt"
    write_checkpoint(DOCUMENT, path)
    before = path.read_bytes()
    code = (
        "import resource, signal, sys, torch\n"
        "from rsl_rl.checkpoint import write_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    write_checkpoint({'x': torch.zeros(1_000_000)}, sys.argv[1])\n"
        "except (OSError, RuntimeError) as error:\n    print('refused', type(error).__name__)\n"
    )
    done = python("-c", code, path)
    assert done.stdout.startswith("refused")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.pt"
    write_checkpoint(DOCUMENT, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="damaged" if share else "it is empty"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"hello", b"{}", os.urandom(1000)])
def test_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model.pt' is not a checkpoint"):
        read_checkpoint(path)


def test_a_bare_tensor_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="it holds a Tensor instead of a dict"):
        read_checkpoint(tmp_path / "model.pt")


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def test_code_in_a_file_is_refused_and_not_executed(tmp_path: Path) -> None:
    torch.save({"iter": 1, "infos": Payload(tmp_path / "executed")}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="is refused: it holds something other than tensors and plain data"):
        read_checkpoint(tmp_path / "model.pt")
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write_checkpoint(DOCUMENT, tmp_path / "model_50.pt")
    with pytest.raises(FileNotFoundError, match=r"No checkpoint at .*model_5.pt'. .*: model_50.pt"):
        read_checkpoint(tmp_path / "model_5.pt")


def test_an_error_of_the_disk_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left.*policy.onnx'$"),
        replaced_when_complete(path),
    ):
        full.write(b"a policy")
