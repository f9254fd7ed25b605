# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring on the device: nothing here waits for it before an iteration is read.

Legend: T steps, N environments, S summed quantities of an episode.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch

HISTORY = 100
"""Episode statistics are over the last so many finished episodes."""


class EpisodeStatistics:
    """Return and length of the last finished episodes.

    A step writes the running sums and the dones into buffers of T steps; :meth:`read` fetches them in one transfer and
    picks the finished episodes, in the order of their steps, then of their environments.
    """

    def __init__(self, num_envs: int, device: str, num_steps: int, with_intrinsic_rewards: bool = False) -> None:
        """Allocate the buffers.

        Args:
            num_envs: N.
            device: Device of rewards and dones.
            num_steps: Expected number of steps between two reads.
            with_intrinsic_rewards: Also keep extrinsic and intrinsic returns apart.
        """
        self.returns: deque[float] = deque(maxlen=HISTORY)
        self.lengths: deque[float] = deque(maxlen=HISTORY)
        self.extrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        self.intrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        # Rows: length, return, and with intrinsic rewards the extrinsic and the intrinsic return.
        num_sums = 4 if with_intrinsic_rewards else 2
        self._running_SN = torch.zeros(num_sums, num_envs, device=device)
        self._record_TSN = torch.zeros(max(1, num_steps), num_sums + 1, num_envs, device=device)
        self._increment_SN = torch.ones(num_sums, num_envs, device=device)
        self._rewards_N = self._increment_SN[1]
        self._steps = 0

    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic_rewards: torch.Tensor | None = None) -> None:
        """Add one step: rewards [N], dones [N] of any dtype, intrinsic_rewards [N] or None."""
        if self._steps == len(self._record_TSN):
            self._add_room()
        if intrinsic_rewards is not None and len(self._running_SN) == 2:
            self._keep_intrinsic_rewards()
        record_SN = self._record_TSN[self._steps]
        running_SN = self._running_SN
        if len(running_SN) == 2:
            self._rewards_N.copy_(rewards.view(-1))
        elif intrinsic_rewards is None:
            self._increment_SN[1:3].copy_(rewards.view(1, -1))
            self._increment_SN[3].zero_()
        else:
            self._increment_SN[2].copy_(rewards.view(-1))
            self._increment_SN[3].copy_(intrinsic_rewards.view(-1))
            torch.add(self._increment_SN[2], self._increment_SN[3], out=self._increment_SN[1])
        running_SN.add_(self._increment_SN)
        record_SN[:-1].copy_(running_SN)
        record_SN[-1].copy_(dones.view(-1))
        # masked_fill_ needs a bool mask of its own; a NaN in the dones counts as done.
        is_mask = dones.dtype == torch.bool and dones.device == running_SN.device
        running_SN.masked_fill_(dones.view(-1) if is_mask else record_SN[-1] != 0, 0.0)
        self._steps += 1

    # What is made under inference mode can be written under inference mode only: the buffers are made outside of it.

    @torch.inference_mode(False)
    def _add_room(self) -> None:
        """Double the steps that fit between two reads."""
        self._record_TSN = torch.cat([self._record_TSN, torch.zeros_like(self._record_TSN)])

    @torch.inference_mode(False)
    def _keep_intrinsic_rewards(self) -> None:
        """Split the sums so far: all of the return was extrinsic."""
        self._increment_SN = torch.cat([self._increment_SN, torch.zeros_like(self._increment_SN)])
        self._running_SN = _with_intrinsic_rows(self._running_SN)
        sums_TSN, dones_TSN = self._record_TSN[:, :2], self._record_TSN[:, 2:]
        self._record_TSN = torch.cat([_with_intrinsic_rows(sums_TSN, dim=1), dones_TSN], dim=1)

    def read(self) -> None:
        """Take over the episodes that finished since the last read. One transfer from the device."""
        self.add(self.finished())

    def finished(self) -> list[list[float]]:
        """Return the episodes that finished since the last read, for :meth:`add`. One transfer from the device.

        Returns:
            Lengths, returns, and with intrinsic rewards extrinsic and intrinsic returns; of the last 100 episodes.
        """
        if self._steps == 0:
            return []
        record_TSN = self._record_TSN[: self._steps].cpu()
        self._steps = 0
        finished_TN = record_TSN[:, -1] != 0
        return [record_TSN[:, index][finished_TN][-HISTORY:].tolist() for index in range(record_TSN.shape[1] - 1)]

    def add(self, finished: list[list[float]]) -> None:
        """Add finished episodes, of this or another process, to the history."""
        histories = (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)
        for history, values in zip(histories, finished, strict=False):
            history.extend(values)

    def begin_episodes(self) -> None:
        """Start new episodes everywhere; those that were running count for nothing."""
        self._running_SN.zero_()

    def state_dict(self) -> dict[str, Any]:
        """Return running sums and history as tensors and plain data."""
        return {
            "running": self._running_SN.clone(),
            "history": [list(h) for h in (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; steps that were not read yet are dropped.

        Raises:
            ValueError: It is of another number of environments; nothing was changed.
        """
        running_SN = state["running"]
        if running_SN.shape[1] != self._running_SN.shape[1]:
            raise ValueError(
                f"Episode statistics of {running_SN.shape[1]} environments do not fit {self._running_SN.shape[1]}."
            )
        if len(running_SN) > len(self._running_SN):
            self._keep_intrinsic_rewards()
        elif len(running_SN) < len(self._running_SN):
            running_SN = _with_intrinsic_rows(running_SN)
        self._running_SN.copy_(running_SN)
        self._steps = 0
        histories = (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)
        for history, saved in zip(histories, state["history"], strict=True):
            history.clear()
            history.extend(saved)


def _with_intrinsic_rows(sums: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Return (length, return) with an extrinsic return, equal to the return, and an intrinsic one of zero."""
    returns = sums.narrow(dim, 1, 1)
    return torch.cat([sums, returns, torch.zeros_like(returns)], dim=dim)


class MeanMeter:
    """Mean of each named value over an iteration, as if all its numbers had come at once."""

    def __init__(self, device: str = "cpu") -> None:
        """Start empty; sums of tensors are kept on ``device``."""
        self._target = torch.device(device)
        self._host: dict[str, list[float]] = {}
        self._device: dict[str, torch.Tensor] = {}
        self._device_counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Any]) -> None:
        """Add numbers and tensors of any shape. Tensors are summed on their device, now: they may be overwritten."""
        for name, value in values.items():
            if not isinstance(value, torch.Tensor):
                try:
                    number = float(value)
                except (TypeError, ValueError):
                    warnings.warn(f"'{name}' cannot be logged: it is no number but {value!r}.", stacklevel=2)
                    continue
                total = self._host.setdefault(name, [0.0, 0.0])
                total[0] += number
                total[1] += 1.0
            elif value.numel() > 0:
                summed = value.detach().sum(dtype=torch.float32).to(self._target, non_blocking=True)
                self._device[name] = self._device[name] + summed if name in self._device else summed
                self._device_counts[name] = self._device_counts.get(name, 0) + value.numel()

    def totals(self) -> dict[str, tuple[float, float]]:
        """Return the sum and the count of every value, and start anew. One transfer from the device."""
        totals = {name: (total, count) for name, (total, count) in self._host.items()}
        if self._device:
            sums = torch.stack(list(self._device.values())).tolist()
            for name, total in zip(self._device, sums, strict=True):
                before, count = totals.get(name, (0.0, 0.0))
                totals[name] = (before + total, count + self._device_counts[name])
        self._host, self._device, self._device_counts = {}, {}, {}
        return totals

    def add_totals(self, totals: Mapping[str, tuple[float, float]]) -> None:
        """Add what :meth:`totals` returned, here or in another process."""
        for name, (total, count) in totals.items():
            host = self._host.setdefault(name, [0.0, 0.0])
            host[0] += total
            host[1] += count

    def read(self) -> dict[str, float]:
        """Return the means, and start anew. One transfer from the device."""
        return {name: total / count for name, (total, count) in self.totals().items()}
