# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Names of the logger's measurements that programs of release 5.5.1 read, zero and replace."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch


class _Running:
    """What an unfinished episode of every environment has summed up, [N], on the logger's device."""

    def __init__(self, row: int) -> None:
        self._row = row

    def __get__(self, logger: Any, owner: Any = None) -> Any:
        return self if logger is None else logger.episodes.running()[self._row]

    @torch.inference_mode(False)
    def __set__(self, logger: Any, value: Any) -> None:
        running = logger.episodes.running()
        now = running[self._row]
        new = torch.as_tensor(value, dtype=now.dtype, device=now.device).detach().view(-1)
        if new.shape != now.shape or new.is_inference():
            if new.numel() not in (1, len(now)):
                raise ValueError(f"The logger sums up over {len(now)} environments, got {new.numel()} numbers.")
            new = new.expand_as(now).clone()
        running[self._row] = new


class _Last:
    """A number of each of the last 100 finished episodes, up to the step before it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, logger: Any, owner: Any = None) -> Any:
        if logger is None:
            return self
        logger.episodes.catch_up()
        return getattr(logger.episodes, self._name)

    def __set__(self, logger: Any, value: Any) -> None:
        logger.episodes.catch_up()
        replaced = value if isinstance(value, deque) else deque(value, maxlen=100)
        setattr(logger.episodes, self._name, replaced)


class LoggerNames:
    """Running sums and finished episodes under the names of release 5.5.1.

    The extrinsic (``e``) and the intrinsic (``i``) part are filled with intrinsic rewards. A program that never asks
    for a running sum pays nothing for it.
    """

    cur_episode_length, cur_reward_sum, cur_ereward_sum, cur_ireward_sum = map(_Running, range(4))
    lenbuffer, rewbuffer = _Last("lengths"), _Last("returns")
    erewbuffer, irewbuffer = _Last("extrinsic_returns"), _Last("intrinsic_returns")
