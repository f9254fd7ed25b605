# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whatever happens to the bytes of a checkpoint, it is read exactly as it was written or refused."""

from __future__ import annotations

import random
import struct
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.checkpoint import read_checkpoint, write_checkpoint
from rsl_rl.runners import OnPolicyRunner
from tests.envs import PointEnv, point_config

HERE = Path(__file__).parents[1] / "compat"
RELEASES = sorted(HERE.glob("v*/model_1.pt"))
COMMENT = 2 + 14 + 64
"""Bytes at the end of a file: length, mark and digits of its digest."""
ARCHIVE_END = 56 + 20 + 22
"""Bytes at the end of an archive without a comment: its last record, where that is, and the 32 bit form of it."""


def cut(content: bytearray, rng: random.Random) -> None:
    near_the_end = rng.random() < 0.3
    del content[rng.randrange(max(0, len(content) - COMMENT) if near_the_end else 0, len(content)) :]


def flip_bits(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def flip_bits_of_the_digest(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        content[-rng.randint(1, COMMENT)] ^= 1 << rng.randrange(8)


def overwrite(content: bytearray, rng: random.Random) -> None:
    """As a lost block does: zeros, ones, noise, or another place of the file. Now and then it was that before."""
    length = min(int(2 ** rng.uniform(0, 12)), len(content))
    begin = rng.randrange(len(content) - length + 1)
    other = rng.randrange(len(content) - length + 1)
    content[begin : begin + length] = rng.choice(
        [bytes(length), b"\xff" * length, rng.randbytes(length), content[other : other + length]]
    )


def append(content: bytearray, rng: random.Random) -> None:
    length = rng.randint(1, 2000)
    content += rng.choice([bytes(length), rng.randbytes(length), content[-length:], content[:length], bytes(content)])


DAMAGES = [cut, flip_bits, flip_bits_of_the_digest, overwrite, append]


def write_own(path: Path) -> None:
    runner = OnPolicyRunner(PointEnv(), point_config())
    runner.learn(2)
    runner.save(str(path), infos={"note": "ä", "numbers": [0.1, -0.0, float("nan"), 2**70], "flag": True})


def write_tiny(path: Path) -> None:
    write_checkpoint({"iter": 3, "weight": torch.tensor([1.0, -0.0, torch.nan])}, path)


def exact(value: Any) -> Any:
    """Return a value such that equality is that of every bit and type."""
    if isinstance(value, torch.Tensor):
        return "tensor", type(value), value.dtype, tuple(value.shape), value.detach().contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return dict, [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exact(item) for item in value]
    return type(value), struct.pack("d", value) if isinstance(value, float) else value


def reading(path: Path) -> tuple[str, Any]:
    """Return the outcome's name and the document or the message; any exception but a ValueError is a failed test."""
    try:
        return "loaded", read_checkpoint(path)
    except ValueError as error:
        return "refused", str(error)


def test_1000_damaged_files_are_read_exactly_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "model_1.pt"
    outcomes = Counter[tuple[str, str]]()
    for write in (write_own, write_tiny):
        write(path)
        content = path.read_bytes()
        expected = exact(torch.load(path, weights_only=True))
        rng = random.Random(write.__name__)
        for count in range(500):
            damage = DAMAGES[count % len(DAMAGES)]
            damaged = bytearray(content)
            damage(damaged, rng)
            path.write_bytes(damaged)
            outcome, result = reading(path)
            outcomes[damage.__name__, outcome] += 1
            if outcome == "loaded":
                assert exact(result) == expected, (damage.__name__, count)
            else:
                assert str(path) in result, (damage.__name__, count)
            # Which is what it was before where zeros came over zeros, and the like; nothing else goes unnoticed.
            assert (outcome == "loaded") == (damaged == content), (damage.__name__, count)
    print(dict(outcomes))
    assert sum(outcomes.values()) == 1000
    assert outcomes["overwrite", "loaded"] > 0
    assert all(outcomes[damage.__name__, "refused"] > 190 for damage in DAMAGES)


def test_every_bit_of_a_checkpoint_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "model_1.pt"
    write_tiny(path)
    content = path.read_bytes()
    # All of the end, where archive and digest meet, and a part of the rest.
    places = {*range(0, len(content), 17), *range(len(content) - COMMENT - ARCHIVE_END, len(content))}
    for place in sorted(places):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="model_1.pt'"):
            read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:.*holds NaN or infinite numbers")
def test_damaged_files_of_other_releases_are_read_or_refused(tmp_path: Path) -> None:
    # They have no digest, so that a wrong number cannot be noticed.
    assert any("v5.5.1" in file.parent.name for file in RELEASES)
    rng, outcomes = random.Random(0), Counter[str]()
    path = tmp_path / "model_1.pt"
    for count in range(330):
        damaged = bytearray(RELEASES[count % len(RELEASES)].read_bytes())
        DAMAGES[count % len(DAMAGES)](damaged, rng)
        path.write_bytes(damaged)
        outcome, result = reading(path)
        outcomes[outcome] += 1
        assert isinstance(result, dict) if outcome == "loaded" else str(path) in result
    print(dict(outcomes))
    assert min(outcomes["loaded"], outcomes["refused"]) > 20


@pytest.mark.parametrize("bit", range(8))
def test_a_damaged_end_of_another_releases_file_is_refused_with_its_name(tmp_path: Path, bit: int) -> None:
    # What says where the parts of the archive are: readers trip over it in many ways.
    content = (HERE / "v5.5.1_mlp" / "model_1.pt").read_bytes()
    path = tmp_path / "model_1.pt"
    outcomes = Counter[str]()
    for place in range(len(content) - ARCHIVE_END, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome, result = reading(path)
        outcomes[outcome] += 1
        assert isinstance(result, dict) if outcome == "loaded" else str(path) in result
    assert min(outcomes["loaded"], outcomes["refused"]) > 20
