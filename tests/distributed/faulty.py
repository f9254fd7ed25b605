# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An environment in which one of several processes meets its end."""

from __future__ import annotations

import os
import signal
from typing import Any

import torch

from tests.envs import PointEnv


class FaultyEnv(PointEnv):
    """In a chosen step of the first attempt, rank 1 is killed, raises, or is told to stop."""

    def __init__(self, fault: str = "", at: int = 0, rank: int = 1, **options: Any) -> None:
        super().__init__(**options)
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        self._fault = fault if first and os.environ.get("RANK") == str(rank) else ""
        self._at, self._steps = at, 0

    def step(self, actions: torch.Tensor) -> Any:
        if self._steps == self._at:
            if self._fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self._fault == "raise":
                raise ValueError("the simulator has crashed")
            elif self._fault.startswith("SIG"):
                os.kill(os.getpid(), getattr(signal, self._fault))
        self._steps += 1
        return super().step(actions)
