# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring on the device: nothing here waits for it before an iteration is read.

Legend: T steps, N environments, S summed quantities of an episode, E episodes, R recorded quantities of a step.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

HISTORY = 100
"""Episode statistics are over the last so many finished episodes."""


class EpisodeStatistics:
    """Return and length of the last finished episodes.

    A step keeps its rewards and dones in buffers of T steps; :meth:`finished` fetches them in one transfer and adds
    them up on the host. Finished episodes come in the order of their steps, then of their environments.
    """

    def __init__(self, num_envs: int, device: str, num_steps: int) -> None:
        """Allocate the buffers for N environments on the device of rewards and dones; they grow beyond T steps."""
        self.returns: deque[float] = deque(maxlen=HISTORY)
        self.lengths: deque[float] = deque(maxlen=HISTORY)
        self.extrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        self.intrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        self._histories = (self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns)
        # Whether there are any; extrinsic and intrinsic returns have a history from the first of them on.
        self._with_intrinsic_rewards = False
        # Rows: length, return, its extrinsic and its intrinsic part; on the host.
        self._sums_SN = torch.zeros(4, num_envs)
        # Rows: done, reward, intrinsic reward.
        self._keep(torch.zeros(max(1, num_steps), 3, num_envs, device=device))
        self._steps = 0

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
            self._with_intrinsic_rewards = True
            kept_intrinsic.copy_(intrinsic_rewards.view(-1))
        elif self._with_intrinsic_rewards:
            kept_intrinsic.zero_()
        self._steps += 1

    def _keep(self, record_TRN: torch.Tensor) -> None:
        self._record_TRN = record_TRN
        # Indexing costs as much as the copy itself.
        self._slots = [step_RN.unbind() for step_RN in record_TRN.unbind()]

    @torch.inference_mode(False)
    def finished(self) -> list[list[float]]:
        """Return lengths and returns of the last 100 episodes since the last read, in one transfer from the device.

        With intrinsic rewards also extrinsic and intrinsic returns. :meth:`add` takes them.
        """
        record_TRN = self._record_TRN[: self._steps, : 3 if self._with_intrinsic_rewards else 2].cpu()
        self._steps, sums_SN, sums_of_episodes = 0, self._sums_SN, [self._sums_SN[:, :0]]
        # A NaN in the dones counts as done.
        done_TN = record_TRN[:, 0] != 0
        for step_RN, done_N, any_done in zip(record_TRN, done_TN, done_TN.any(dim=1).tolist(), strict=True):
            sums_SN[0] += 1.0
            if self._with_intrinsic_rewards:
                sums_SN[1] += step_RN[1] + step_RN[2]
                sums_SN[2:] += step_RN[1:]
            else:  # the return and its extrinsic part are the same
                sums_SN[1:3] += step_RN[1]
            if any_done:
                sums_of_episodes.append(sums_SN[:, done_N])
                sums_SN[:, done_N] = 0.0
        sums_SE = torch.cat(sums_of_episodes, dim=1)
        if not self._with_intrinsic_rewards:
            sums_SE = sums_SE[:2]
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
        return {"running": self._sums_SN.clone(), "history": [list(history) for history in self._histories]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; ValueError, and no change, with other numbers of environments."""
        running_SN = state["running"]
        if running_SN.shape[1] != self._sums_SN.shape[1]:
            raise ValueError(
                f"Episode statistics of {running_SN.shape[1]} environments do not fit {self._sums_SN.shape[1]}."
            )
        # Earlier builds left the parts of the return out where there were no intrinsic rewards.
        self._sums_SN[2], self._sums_SN[3] = running_SN[1], 0.0
        self._sums_SN[: len(running_SN)] = running_SN
        self._steps = 0
        for history, saved in zip(self._histories, state["history"], strict=True):
            history.clear()
            history.extend(saved)
        self._with_intrinsic_rewards |= len(self.intrinsic_returns) > 0


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


@dataclass
class IterationReport:
    """What an iteration measured; sinks write it, a console shows it."""

    iteration: int
    start_iteration: int
    end_iteration: int
    """The first iteration that will not be made."""
    num_steps: int
    """Environment steps of an iteration."""
    total_steps: int
    """Environment steps taken so far."""
    elapsed: float
    """Seconds of collecting and learning so far."""
    losses: Mapping[str, float]
    evaluation: Mapping[str, float]
    """Numbers of an evaluation by their tags, in iterations that had one."""
    scalars: Mapping[str, float]
    """Every number by its tag."""

    @property
    def seconds_left(self) -> float:
        """Estimated seconds to the end, at the speed so far."""
        steps_left = self.num_steps * (self.end_iteration - self.iteration - 1)
        return self.elapsed / max(self.total_steps, 1) * steps_left
