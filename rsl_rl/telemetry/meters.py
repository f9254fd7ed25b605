# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Measuring on the device: nothing here waits for it before an iteration is read.

Legend: T steps, N environments, S summed quantities of an episode, E episodes, R recorded quantities of a step.
"""

from __future__ import annotations

import contextlib
import math
import reprlib
import sys
import warnings
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

HISTORY = 100
"""Episode statistics are over the last so many finished episodes."""


class EpisodeStatistics:
    """Return and length of the last finished episodes.

    A step keeps its rewards and dones in buffers of T steps; :meth:`catch_up` fetches them in one transfer and adds
    them up on the host, unless somebody has fetched :attr:`unread`. Finished episodes come in the order of their steps,
    then of their environments.
    """

    def __init__(self, num_envs: int, device: str, num_steps: int) -> None:
        """Allocate the buffers for N environments on the device of rewards and dones; they grow beyond T steps."""
        self.returns: deque[float] = deque(maxlen=HISTORY)
        self.lengths: deque[float] = deque(maxlen=HISTORY)
        self.extrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        self.intrinsic_returns: deque[float] = deque(maxlen=HISTORY)
        # Whether there are any; extrinsic and intrinsic returns have a history from the first of them on.
        self._with_intrinsic_rewards = False
        # Rows: length, return, its extrinsic and its intrinsic part; on the host.
        self._sums_SN = torch.zeros(4, num_envs)
        self._running = list(self._sums_SN)
        self._is_watched = False
        # What was added to the own history and not returned by :meth:`finished` yet.
        self._unread: list[list[float]] = [[], [], [], []]
        # Rows: done, reward, intrinsic reward; once the sums are watched: done, and the sums.
        self._keep(torch.zeros(max(1, num_steps), 3, num_envs, device=device))
        self._steps = 0

    @property
    def _histories(self) -> tuple[deque[float], ...]:
        return self.lengths, self.returns, self.extrinsic_returns, self.intrinsic_returns

    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic_rewards: torch.Tensor | None = None) -> None:
        """Add one step: rewards [N], dones [N] of any dtype, intrinsic_rewards [N] or None."""
        if self._steps == len(self._slots):
            # What is made under inference mode can be written under inference mode only.
            with torch.inference_mode(False):
                self._keep(torch.cat([self._record_TRN, torch.zeros_like(self._record_TRN)]))
        kept_done, kept_reward, kept_intrinsic, *more = self._slots[self._steps]
        kept_done.copy_(dones.view(-1))
        kept_reward.copy_(rewards.view(-1))
        if intrinsic_rewards is not None:
            self._with_intrinsic_rewards = True
            kept_intrinsic.copy_(intrinsic_rewards.view(-1))
        elif self._with_intrinsic_rewards or more:
            kept_intrinsic.zero_()
        if more:
            self._add_to_running(kept_done, kept_reward, kept_intrinsic, *more)
        self._steps += 1

    def _keep(self, record_TRN: torch.Tensor) -> None:
        self._record_TRN = record_TRN
        # Indexing costs as much as the copy itself.
        self._slots = [step_RN.unbind() for step_RN in record_TRN.unbind()]

    def running(self) -> list[torch.Tensor]:
        """Return what unfinished episodes have summed up: length, return, its extrinsic and intrinsic part, each [N].

        From now on every step adds to these tensors, on its device: they may be written, or replaced in the list.
        """
        if not self._is_watched:
            self.catch_up()
            num_steps, _, num_envs = self._record_TRN.shape
            with torch.inference_mode(False):
                self._running = [sums_N.to(self._record_TRN.device, copy=True) for sums_N in self._running]
                self._keep(self._record_TRN.new_zeros(num_steps, 5, num_envs))
            self._is_watched = True
        return self._running

    def _add_to_running(self, *slots: torch.Tensor) -> None:
        done_N, reward_N, intrinsic_N = slots[0], slots[1].clone(), slots[2].clone()
        is_done_N, length_N, return_N, extrinsic_N, inner_N = done_N != 0, *self._running
        length_N += 1.0
        return_N += reward_N + intrinsic_N
        extrinsic_N += reward_N
        inner_N += intrinsic_N
        for slot_N, sums_N in zip(slots[1:], self._running, strict=True):
            slot_N.copy_(sums_N)
            sums_N.masked_fill_(is_done_N, 0.0)

    @property
    def unread(self) -> torch.Tensor:
        """What the steps since the last read have kept, on the device."""
        num_rows = 5 if self._is_watched else 3 if self._with_intrinsic_rewards else 2
        return self._record_TRN[: self._steps, :num_rows]

    def finished(self, fetched: torch.Tensor | None = None) -> list[list[float]]:
        """Return lengths and returns of the last episodes since the last call, after :meth:`catch_up`.

        With intrinsic rewards also extrinsic and intrinsic returns. :meth:`add` takes them in another process.
        """
        self.catch_up(fetched)
        finished, self._unread = self._unread, [[], [], [], []]
        return finished

    @torch.inference_mode(False)
    def catch_up(self, fetched: torch.Tensor | None = None) -> None:
        """Add the episodes that have ended since the last read to the history.

        One transfer from the device, unless :attr:`unread` was ``fetched``.
        """
        if self._steps == 0:
            return
        record_TRN = self.unread.cpu() if fetched is None else fetched
        self._steps = 0
        # A NaN in the dones counts as done.
        done_TN = record_TRN[:, 0] != 0
        if self._is_watched:
            sums_SE = record_TRN[:, 1:].transpose(0, 1)[:, done_TN]
        else:
            sums_SE = self._added_up(record_TRN, done_TN)
        if not self._with_intrinsic_rewards:
            sums_SE = sums_SE[:2]
        # A program may have put longer histories in place of these.
        latest = max(history.maxlen or sys.maxsize for history in self._histories)
        finished = sums_SE[:, -latest:].tolist()
        self.add(finished)
        for unread, values in zip(self._unread, finished, strict=False):
            unread += values
            del unread[:-latest]

    def _added_up(self, record_TRN: torch.Tensor, done_TN: torch.Tensor) -> torch.Tensor:
        sums_SN, sums_of_episodes = self._sums_SN, [self._sums_SN[:, :0]]
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
        return torch.cat(sums_of_episodes, dim=1)

    def add(self, finished: list[list[float]]) -> None:
        """Add finished episodes of another process to the history."""
        for history, values in zip(self._histories, finished, strict=False):
            history.extend(values)

    def begin_episodes(self) -> None:
        """Start new episodes everywhere; those that were running count for nothing, nor do steps not read yet."""
        for sums_N in self._running:
            sums_N.zero_()
        self._steps = 0

    def state_dict(self) -> dict[str, Any]:
        """Return running sums and history as of the last read, as tensors and plain data."""
        # Programs append numbers of NumPy, which a checkpoint does not hold.
        history = [[float(value) for value in history] for history in self._histories]
        return {"running": torch.stack(self._running).cpu(), "history": history}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; ValueError, and no change, with other numbers of environments."""
        running_SN = state["running"]
        if running_SN.shape[1] != len(self._running[0]):
            raise ValueError(
                f"Episode statistics of {running_SN.shape[1]} environments do not fit {len(self._running[0])}."
            )
        # Earlier builds left the parts of the return out where there were no intrinsic rewards.
        parts = running_SN if len(running_SN) == 4 else (*running_SN, running_SN[1], torch.zeros_like(running_SN[1]))
        for sums_N, saved_N in zip(self._running, parts, strict=True):
            sums_N.copy_(saved_N)
        self._steps = 0
        for history, saved in zip(self._histories, state["history"], strict=True):
            history.clear()
            history.extend(saved)
        self._with_intrinsic_rewards |= len(self.intrinsic_returns) > 0


def logged_by(extras: Mapping[str, Any]) -> Any:
    """Return a copy of what an environment wants logged: its ``extras["episode"]``, as in 5.5.1, or else ``"log"``."""
    logged = extras["episode"] if "episode" in extras else extras.get("log")
    if not isinstance(logged, Mapping):
        return logged
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else _copied(value)
        for name, value in logged.items()
    }


def _copied(value: Any) -> Any:
    """Return a value that stays as it is when the environment overwrites its buffers."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.detach().clone() if isinstance(value, torch.Tensor) else value.copy()
    if isinstance(value, (list, tuple)):
        with contextlib.suppress(RecursionError):  # it holds itself, and is not a number
            return [_copied(item) for item in value]
    return value


def numbers_in(value: Any) -> list[float | np.ndarray | torch.Tensor]:
    """Return the numbers of anything, as numbers, arrays of doubles and tensors; TypeError or ValueError for others."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.is_meta:
            raise TypeError("no real numbers")
        return [value]
    if type(value) is float:
        return [value]
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        raise TypeError(type(value).__name__)  # float() would take a text such as "1.5"
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            return [array.astype(np.float64)]
        if array.dtype.kind != "O":
            raise TypeError(str(array.dtype))
        value = array.ravel().tolist()
    if isinstance(value, Collection):
        return [number for item in value for number in numbers_in(item)]
    try:
        return [float(value)]
    except OverflowError:  # an integer or a fraction beyond all doubles
        return [math.inf if value > 0 else -math.inf]


class MeanMeter:
    """Adds up named values, as if all their numbers had come at once.

    What is not a number is left out, and said once per name.
    """

    def __init__(self) -> None:
        """Start without having said anything."""
        self._said: set[str] = set()

    def totals(self, *several: Iterable[Any]) -> list[dict[str, tuple[float, float]]]:
        """Return the sum and the count of every name's numbers in mappings, for each of several lists of them."""
        return self.totals_and(None, *several)[1]

    def totals_and(
        self, fetch: torch.Tensor | None, *several: Iterable[Any]
    ) -> tuple[torch.Tensor | None, list[dict[str, tuple[float, float]]]]:
        """Return a tensor on the host, and the totals. One transfer from every device for all of it."""
        totals: list[dict[str, tuple[float, float]]] = [{} for _ in several]
        sums: dict[torch.device, list[tuple[dict[str, tuple[float, float]], str, torch.Tensor, int]]] = {}
        for entries, into in zip(several, totals, strict=True):
            for (device, name, _), parts in self._on_devices(entries, into).items():
                try:
                    flat = torch.cat([part.detach().reshape(-1) for part in parts])
                    total = flat.to(torch.float32 if device.type == "mps" else torch.float64).sum()
                    sums.setdefault(device, []).append((into, name, total, flat.numel()))
                except Exception:  # a sparse or a quantized tensor, for example
                    self._leave_out(name, parts[-1])
        fetched = None if fetch is None or fetch.device in sums else fetch.cpu()
        for device, every in sums.items():
            intos, names, of_device, counts = zip(*every, strict=True)
            numbers = torch.stack(of_device)
            if fetch is not None and fetch.device == device:
                together = torch.cat([numbers, fetch.flatten()]).cpu()
                numbers, flat = together[: len(every)], together[len(every) :]
                fetched = flat.view(fetch.shape).to(fetch.dtype)
            for into, name, summed, number in zip(intos, names, numbers.tolist(), counts, strict=True):
                _add(into, name, summed, number)
        return fetched, totals

    def _on_devices(
        self, entries: Iterable[Any], totals: dict[str, tuple[float, float]]
    ) -> dict[tuple[torch.device, str, torch.dtype], list[torch.Tensor]]:
        """Add what is on the host to the totals, and return the tensors by device, name and type."""
        names: dict[Any, str] = {}
        tensors: dict[tuple[torch.device, str, torch.dtype], list[torch.Tensor]] = {}
        for entry in entries:
            if entry is not None and not isinstance(entry, Mapping):
                self._leave_out("extras['log']", entry, "dictionary of numbers by their names")
                continue
            for key, value in (entry or {}).items():
                name = names.get(key) or type(key).__name__
                try:
                    name = names[key] = names.get(key) or name_of(key)
                    parts = numbers_in(value)
                except Exception:  # whatever it is, it is not a reason to end a run
                    self._leave_out(name, value)
                    continue
                for part in parts:
                    if isinstance(part, torch.Tensor):
                        tensors.setdefault((part.device, name, part.dtype), []).append(part)
                    elif isinstance(part, np.ndarray):
                        with np.errstate(all="ignore"):
                            _add(totals, name, float(part.sum()), part.size)
                    else:
                        _add(totals, name, part, 1)
        return tensors

    def _leave_out(self, name: str, value: Any, expected: str = "number") -> None:
        if name not in self._said:
            self._said.add(name)
            kind = f"{type(value).__name__} {' '.join(reprlib.repr(value).split())}"
            warnings.warn(f"'{name}' cannot be logged: it is not a {expected} but the {kind}.", stacklevel=4)


def _add(totals: dict[str, tuple[float, float]], name: str, total: float, count: float) -> None:
    before, number = totals.get(name, (0.0, 0))
    totals[name] = (before + total, number + count)


def means(every: Iterable[Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    """Return the means by name of what :meth:`MeanMeter.totals` returned, in one or several processes."""
    sums: dict[str, tuple[float, float]] = {}
    for totals in every:
        for name, (total, count) in totals.items():
            _add(sums, name, total, count)
    return {name: total / count for name, (total, count) in sums.items() if count}


def name_of(key: Any) -> str:
    """Return a key as a name that tables and services can hold: ``("a", 1)`` becomes ``"a/1"``."""
    name = "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
    return name if name.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in name)


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
