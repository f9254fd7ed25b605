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

    A step keeps its rewards and dones in buffers of T steps; :meth:`finished` fetches them in one transfer and adds
    them up on the host. Finished episodes come in the order of their steps, then of their environments.
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
        self._histories = (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)
        self._with_intrinsic_rewards = with_intrinsic_rewards
        # Rows: length, return, and with intrinsic rewards the extrinsic and the intrinsic return; on the host.
        self._sums_SN = torch.zeros(4, num_envs)
        # Rows: done, reward, and with intrinsic rewards those.
        self._keep(torch.zeros(max(1, num_steps), 3, num_envs, device=device))
        self._steps = 0

    @property
    def _running_SN(self) -> torch.Tensor:
        return self._sums_SN if self._with_intrinsic_rewards else self._sums_SN[:2]

    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic_rewards: torch.Tensor | None = None) -> None:
        """Add one step: rewards [N], dones [N] of any dtype, intrinsic_rewards [N] or None."""
        if self._steps == len(self._slots):
            # What is made under inference mode can be written under inference mode only.
            with torch.inference_mode(False):
                self._keep(torch.cat([self._record_TRN, torch.zeros_like(self._record_TRN)]))
        kept_done, kept_reward, kept_intrinsic = self._slots[self._steps]
        kept_done.copy_(dones.view(-1))
        kept_reward.copy_(rewards.view(-1))
        if intrinsic_rewards is not None:
            self._begin_intrinsic_rewards()
            kept_intrinsic.copy_(intrinsic_rewards.view(-1))
        elif self._with_intrinsic_rewards:
            kept_intrinsic.zero_()
        self._steps += 1

    def _begin_intrinsic_rewards(self) -> None:
        """Split the sums from now on: all of the return so far was extrinsic."""
        if not self._with_intrinsic_rewards:
            self._with_intrinsic_rewards = True
            self._sums_SN[2], self._sums_SN[3] = self._sums_SN[1], 0.0

    def _keep(self, record_TRN: torch.Tensor) -> None:
        self._record_TRN = record_TRN
        # Indexing costs as much as the copy itself.
        self._slots = [step_RN.unbind() for step_RN in record_TRN.unbind()]

    @torch.inference_mode(False)
    def finished(self) -> list[list[float]]:
        """Return the episodes that finished since the last read, for :meth:`add`. One transfer from the device.

        Returns:
            Lengths, returns, and with intrinsic rewards extrinsic and intrinsic returns; of the last 100 episodes.
        """
        if self._steps == 0:
            return []
        record_TRN = self._record_TRN[: self._steps, : 3 if self._with_intrinsic_rewards else 2].cpu()
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
        for history, values in zip(self._histories, finished, strict=False):
            history.extend(values)

    def begin_episodes(self) -> None:
        """Start new episodes everywhere; those that were running count for nothing, nor do steps not read yet."""
        self._sums_SN.zero_()
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Return running sums and history as of the last read, as tensors and plain data."""
        return {"running": self._running_SN.clone(), "history": [list(history) for history in self._histories]}

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
        if len(running_SN) > 2:
            self._begin_intrinsic_rewards()
        self._sums_SN[: len(running_SN)] = running_SN
        if len(running_SN) == 2:
            self._sums_SN[2], self._sums_SN[3] = running_SN[1], 0.0
        self._steps = 0
        for history, saved in zip(self._histories, state["history"], strict=True):
            history.clear()
            history.extend(saved)


class MeanMeter:
    """Mean of each named value over an iteration, as if all its numbers had come at once."""

    def __init__(self, device: str = "cpu") -> None:
        """Start empty; sums of tensors are kept on ``device``."""
        self._target = torch.device(device)
        # By name the sum, and the count.
        self._host: dict[str, tuple[float, float]] = {}
        self._device: dict[str, tuple[torch.Tensor, int]] = {}

    def add(self, values: Mapping[str, Any]) -> None:
        """Add numbers and tensors of any shape. Tensors are summed on their device, now: they may be overwritten."""
        for name, value in values.items():
            if not isinstance(value, torch.Tensor):
                try:
                    number = float(value)
                except (TypeError, ValueError):
                    warnings.warn(f"'{name}' cannot be logged: it is no number but {value!r}.", stacklevel=2)
                    continue
                self.add_totals({name: (number, 1.0)})
            elif value.numel() > 0:
                summed = value.detach().sum(dtype=torch.float32).to(self._target, non_blocking=True)
                total, count = self._device.get(name, (0.0, 0))
                self._device[name] = (total + summed, count + value.numel())

    def totals(self) -> dict[str, tuple[float, float]]:
        """Return the sum and the count of every value, and start anew. One transfer from the device."""
        if self._device:
            sums, counts = zip(*self._device.values(), strict=True)
            self.add_totals(dict(zip(self._device, zip(torch.stack(sums).tolist(), counts, strict=True), strict=True)))
        totals, self._host, self._device = self._host, {}, {}
        return totals

    def add_totals(self, totals: Mapping[str, tuple[float, float]]) -> None:
        """Add what :meth:`totals` returned, here or in another process."""
        for name, (total, count) in totals.items():
            before, number = self._host.get(name, (0.0, 0.0))
            self._host[name] = (before + total, number + count)

    def read(self) -> dict[str, float]:
        """Return the means, and start anew. One transfer from the device."""
        return {name: total / count for name, (total, count) in self.totals().items()}
