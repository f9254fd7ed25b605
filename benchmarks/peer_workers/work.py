# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the workers of all libraries share: the numbers that the environment gives, and the turns they work in.

The same protocol as ``rsl_rl/cli/bench/timed_training.py``, for libraries whose training loop cannot be called round by
round: it is stopped within, at the end of an iteration, until the next round is wanted.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

NUM_OBS, NUM_ACTIONS = 48, 12
NUM_EPOCHS, NUM_MINI_BATCHES = 5, 4
# Those of rsl_rl; what a library does not have is left out.
LEARNING_RATE, GAMMA, LAM, CLIP, ENTROPY, VALUE_LOSS, MAX_GRAD_NORM, DESIRED_KL = (
    *(1e-3, 0.99, 0.95, 0.2, 0.01, 1.0, 1.0, 0.01),
)


class Numbers:
    """T steps of N environments, drawn beforehand; an episode ends after 100 steps on average, half by time."""

    def __init__(self, num_envs: int, num_steps: int, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.observations = torch.randn(num_steps, num_envs, NUM_OBS, generator=generator).to(device)
        self.rewards = torch.randn(num_steps, num_envs, generator=generator).to(device)
        self.dones = (torch.rand(num_steps, num_envs, generator=generator) < 0.01).to(device)
        self.time_outs = self.dones & (torch.rand(num_steps, num_envs, generator=generator) < 0.5).to(device)
        self.step, self._num_steps = 0, num_steps

    def advance(self) -> int:
        self.step = (self.step + 1) % self._num_steps
        return self.step


class Turns:
    """Answers the program that measures, and holds the training while others work."""

    def __init__(self, version: str) -> None:
        """Say that the library is imported, and read the case."""
        # What a training prints is not for that program.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        self._answer(version=version, torch=torch.__version__)
        self.case = json.loads(sys.stdin.readline() or "{}")
        if not self.case:
            raise SystemExit
        os.chdir(self.case["folder"])
        torch.manual_seed(0)
        self._left = self.case["warm_up"]
        self._is_warming_up = True
        self._collect: list[float] = []
        self._learn: list[float] = []
        self._counter = FlopCounterMode(display=False)
        self._flops_before = self._learn_flops = 0
        self._started = self._began = self._collected = self._now()

    def begin(self) -> None:
        """The first iteration begins."""
        # Late: rl_games chooses its own threads, and a lower precision of matrix products, when it is built.
        if self.case["threads"]:
            torch.set_num_threads(self.case["threads"])
        torch.set_float32_matmul_precision("highest")
        if self.case.get("count"):
            self._counter.__enter__()
        self._began = self._now()

    def collected(self) -> None:
        """The rollout is complete."""
        self._collected = self._now()
        self._collect.append(self._collected - self._began)
        self._flops_before = self._counter.get_total_flops()

    def learned(self) -> None:
        """The update is done, and the next iteration begins: at once, or when the next round is wanted."""
        self._began = self._now()
        self._learn.append(self._began - self._collected)
        self._learn_flops = self._counter.get_total_flops() - self._flops_before
        self._left -= 1
        if self._left == 0:
            self._end_round()

    def _end_round(self) -> None:
        seconds = self._began - self._started
        if self._is_warming_up:
            self._is_warming_up = False
            self._answer(warm_up=seconds, iteration=self._collect[-1] + self._learn[-1])
        else:
            self._answer(
                collect=statistics.median(self._collect),
                learn=statistics.median(self._learn),
                iteration=seconds / len(self._learn),
                peak_mb=_peak_mb(self.case["device"]),
                learn_flops=self._learn_flops,
            )
        line = sys.stdin.readline()
        if not line:
            os._exit(0)  # The library's own loop would catch an exception.
        self._left = int(line)
        self._collect.clear()
        self._learn.clear()
        self._started = self._began = self._now()

    def _answer(self, **numbers: Any) -> None:
        print(json.dumps(numbers), file=self._answers, flush=True)

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def _peak_mb(device: str) -> float:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
