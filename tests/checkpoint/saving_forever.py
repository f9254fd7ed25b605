# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Kills processes while they save, and looks at what they leave. Prints counts as JSON; any failure ends it.

Run with a folder, a number of rounds and a seed. Children are forked, since importing torch takes seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import torch

from rsl_rl.checkpoint import CheckpointFolder, newest_checkpoint, numbered_checkpoints, read_checkpoint
from rsl_rl.checkpoint.checkpoint_file import write_checkpoint

SIZE = 125_000  # 1 MB of int64
KEEP = 3


def document(number: int) -> dict:
    """Return what is saved as a number's checkpoint; every element tells where it belongs."""
    return {"iter": number, "weight": torch.arange(number * SIZE, (number + 1) * SIZE)}


def mean_reward(number: int) -> float:
    """Go up and down, so that ``best.pt`` is written now and then."""
    return number + 10.0 * (number * 7 % 5)


def save(folder: CheckpointFolder, number: int) -> None:
    folder.save(lambda path: write_checkpoint(document(number), path), number, mean_reward(number), False)


def save_forever(path: Path, started: int) -> None:
    """Do what a training does, from where the last one was killed."""
    os.write(started, b"s")
    folder = CheckpointFolder(path, keep=KEEP)
    number = max(numbered_checkpoints(path))
    while True:
        number += 1
        save(folder, number)


def check(file: Path) -> int:
    """Return the number of a checkpoint that is whole."""
    read = read_checkpoint(file)
    number = read["iter"]
    assert torch.equal(read.pop("weight"), document(number)["weight"]), file
    assert read == {"iter": number, "format_version": 1}, file
    return number


def partial_files(path: Path) -> set[str]:
    return {name for name in os.listdir(path) if ".partial" in name}


def main(path: Path, rounds: int, seed: int) -> None:
    torch.set_num_threads(1)  # Forked processes must not miss threads.
    rng = random.Random(seed)
    folder = CheckpointFolder(path, keep=KEEP)
    durations = []
    for number in range(5):
        begin = time.perf_counter()
        save(folder, number)
        durations.append(time.perf_counter() - begin)
    duration = longest = min(durations)
    newest = before = max(numbered_checkpoints(path))
    with_partial, with_progress, sizes = 0, 0, set()
    for _ in range(rounds):
        left_before = partial_files(path)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_forever(path, writer)
            finally:
                os._exit(1)  # Only after an exception.
        os.read(reader, 1)
        time.sleep(rng.uniform(0.0, 3.0 * longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        assert os.WIFSIGNALED(status), "The child failed before it was killed."
        left = partial_files(path) - left_before
        with_partial += bool(left)
        sizes |= {(path / name).stat().st_size for name in left}
        numbered = numbered_checkpoints(path)
        newest = max(numbered)
        assert newest_checkpoint(path) == numbered[newest]
        assert newest >= before, (newest, before)
        with_progress += newest > before
        # On a busy machine a checkpoint takes longer than the first ones did.
        longest *= 0.95 if newest > before else 1.05
        before = newest
        # What has a number is whole, also where it is not the newest, and so is what has a name.
        assert all(check(file) == number for number, file in numbered.items())
        for named in (path / "latest.pt", path / "best.pt"):
            assert check(named) <= newest
    (path / ".rsl_rl.model_0.half.partial.pt").touch()  # Whether or not the last kill left one.
    folder = CheckpointFolder(path, keep=KEEP)
    assert not partial_files(path)
    save(folder, newest + 1)
    assert check(path / "latest.pt") == newest + 1
    result = {
        "rounds": rounds,
        "newest": newest + 1,
        "with_progress": with_progress,
        "with_partial": with_partial,
        "sizes": sorted(sizes),
        "files": sorted(os.listdir(path)),
        "milliseconds_per_save": round(1000 * duration, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
