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

    A step keeps its rewards and dones in buffers of T steps; :meth:`read` fetches them in one transfer and adds them up
    on the host. Finished episodes come in the order of their steps, then of their environments.
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
        # Rows: length, return, and with intrinsic rewards the extrinsic and the intrinsic return; on the host.
        self._running_SN = torch.zeros(4 if with_intrinsic_rewards else 2, num_envs)
        # Rows: done, reward, and with intrinsic rewards those.
        num_rows = 3 if with_intrinsic_rewards else 2
        self._keep(torch.zeros(max(1, num_steps), num_rows, num_envs, device=device))
        self._steps = 0

    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic_rewards: torch.Tensor | None = None) -> None:
        """Add one step: rewards [N], dones [N] of any dtype, intrinsic_rewards [N] or None."""
        if self._steps == len(self._slots):
            self._add_room()
        if intrinsic_rewards is not None and len(self._slots[0]) == 2:
            self._keep_intrinsic_rewards()
        kept_done, kept_reward, *kept_intrinsic = self._slots[self._steps]
        kept_done.copy_(dones.view(-1))
        kept_reward.copy_(rewards.view(-1))
        if kept_intrinsic and intrinsic_rewards is not None:
            kept_intrinsic[0].copy_(intrinsic_rewards.view(-1))
        elif kept_intrinsic:
            kept_intrinsic[0].zero_()
        self._steps += 1

    # What is made under inference mode can be written under inference mode only: the buffers are made outside of it.

    @torch.inference_mode(False)
    def _add_room(self) -> None:
        """Double the steps that fit between two reads."""
        self._keep(torch.cat([self._record_TRN, torch.zeros_like(self._record_TRN)]))

    @torch.inference_mode(False)
    def _keep_intrinsic_rewards(self) -> None:
        """Split the sums so far: all of the return was extrinsic."""
        self._running_SN = _with_intrinsic_rows(self._running_SN)
        self._keep(torch.cat([self._record_TRN, torch.zeros_like(self._record_TRN[:, :1])], dim=1))

    def _keep(self, record_TRN: torch.Tensor) -> None:
        self._record_TRN = record_TRN
        # Indexing costs as much as the copy itself.
        self._slots = [step_RN.unbind() for step_RN in record_TRN.unbind()]

    def read(self) -> None:
        """Take over the episodes that finished since the last read. One transfer from the device."""
        self.add(self.finished())

    @torch.inference_mode(False)
    def finished(self) -> list[list[float]]:
        """Return the episodes that finished since the last read, for :meth:`add`. One transfer from the device.

        Returns:
            Lengths, returns, and with intrinsic rewards extrinsic and intrinsic returns; of the last 100 episodes.
        """
        if self._steps == 0:
            return []
        record_TRN = self._record_TRN[: self._steps].cpu()
        self._steps = 0
        # A NaN in the dones counts as done.
        done_TN = record_TRN[:, 0] != 0
        running_SN, sums_of_episodes = self._running_SN, []
        for step_RN, done_N, any_done in zip(record_TRN, done_TN, done_TN.any(dim=1).tolist(), strict=True):
            running_SN[0] += 1.0
            if len(running_SN) == 2:
                running_SN[1] += step_RN[1]
            else:
                running_SN[1] += step_RN[1] + step_RN[2]
                running_SN[2:] += step_RN[1:]
            if any_done:
                sums_of_episodes.append(running_SN[:, done_N])
                running_SN[:, done_N] = 0.0
        sums_SE = torch.cat(sums_of_episodes, dim=1) if sums_of_episodes else running_SN[:, :0]
        return sums_SE[:, -HISTORY:].tolist()

    def add(self, finished: list[list[float]]) -> None:
        """Add finished episodes, of this or another process, to the history."""
        histories = (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)
        for history, values in zip(histories, finished, strict=False):
            history.extend(values)

    def begin_episodes(self) -> None:
        """Start new episodes everywhere; those that were running count for nothing, nor do steps not read yet."""
        self._running_SN.zero_()
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Return running sums and history as of the last read, as tensors and plain data."""
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


def _with_intrinsic_rows(sums_SN: torch.Tensor) -> torch.Tensor:
    """Return (length, return) with an extrinsic return, equal to the return, and an intrinsic one of zero."""
    returns = sums_SN[1:]
    return torch.cat([sums_SN, returns, torch.zeros_like(returns)])


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
