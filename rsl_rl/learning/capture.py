# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""CUDA graphs: the hundreds of kernels of a gradient step are launched with one call."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from tensordict import TensorDict
from tensordict.nn import CudaGraphModule

from rsl_rl.learning.engines import Batch, Options

# The graph's calls of a shape, of which the last one captures: before that optimizers allocate their state, and
# libraries choose their kernels.
WARM_UP = 3
# So many steps of each kind are timed before the faster one is kept.
_TIMED = 8
Result = TypeVar("Result")
_put = torch._foreach_copy_  # type: ignore[attr-defined]


class Trial:
    """Chooses between a function and its replay: the latter stays if it is possible, gives the same and is faster."""

    def __init__(self, what: str, clock: Callable[[], float] | None = None, is_said: bool = True) -> None:
        """Begin with the replay; ``clock`` waits for the device and gives the time in seconds, None to time nothing."""
        self._what, self._clock, self._is_said = what, clock, is_said
        self._seconds: dict[bool, list[float]] = {True: [], False: []}
        """What the calls took that were timed, by whether they were replayed."""
        self.is_replayed = True
        """Whether the replay is to be used, or still to be tried."""

    def __call__(self, replay: Callable[[], Result], eager: Callable[[], Result]) -> Result:
        """Call one of the two: while they are timed, in turns, then the faster one, which is said."""
        if self._clock is None:
            return replay()
        is_replayed = len(self._seconds[True]) <= len(self._seconds[False])
        start = self._clock()
        result = replay() if is_replayed else eager()
        self._seconds[is_replayed].append(self._clock() - start)
        if len(self._seconds[False]) == _TIMED:
            replayed, plain = (1e3 * statistics.median(self._seconds[kind]) for kind in (True, False))
            self.is_replayed, self._clock = replayed < plain, None
            way = "is replayed as a CUDA graph" if self.is_replayed else "stays eager"
            if self._is_said:
                print(f"The {self._what} {way}: {replayed:.2f} ms as a graph, {plain:.2f} ms without.", flush=True)
        return result

    def failed(self, error: Exception) -> None:
        """Give the replay up, and say why."""
        self.is_replayed = False
        reason = f"{type(error).__name__}: {''.join(str(error).strip().splitlines()[:1])}"
        warnings.warn(f"The {self._what} cannot be captured as a graph and stays eager. {reason}", stacklevel=5)


class CapturedStep:
    """Replays a whole gradient step as a CUDA graph, whose first replay is compared with the eager step.

    A step that waits for the device cannot be captured (a function of the user's that looks at a tensor, for one); it
    stays eager, which is said once. So does one that is no faster as a graph, if it is to be timed.
    """

    def __init__(
        self,
        step: Callable[[Batch], torch.Tensor],
        state: Callable[[], list[torch.Tensor]],
        options: Options,
        graph: Callable[..., Any],
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Set up.

        Args:
            step: Learns from a mini-batch without waiting for the device, and returns its row of numbers.
            state: Returns every tensor that a step changes.
            options: The law's numbers.
            graph: Makes a captured function, called as ``graph(function, warmup=...)``.
            clock: Waits for the device and gives the time in seconds, to choose the faster way; None to replay anyway.
        """
        self._step, self._state, self._options, self._graph = step, state, options, graph
        self._trial = Trial("mini-batch step", clock)
        self._key: Hashable = None
        self._addresses: list[int] | None = None
        self._replays: dict[Hashable, tuple[Any, Iterator[int]]] = {}
        """Graphs by the shapes of their mini-batches, each with the number of its next call."""

    def begin(self, key: Hashable) -> None:
        """Start an update. If what a graph holds has changed (``key``, options, addresses), it is captured anew."""
        key = (key, self._options.others())
        if key != self._key or self._addresses not in (None, self._current_addresses()):
            self._key, self._addresses, self._replays = key, None, {}

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Make a step; its mini-batch may lie anywhere. Returns its row of numbers."""
        if not self._trial.is_replayed:
            return self._step(batch)
        tensors = _named_tensors(batch)
        shapes = tuple((name, value.shape, value.dtype) for name, value in tensors.items())
        if shapes not in self._replays:
            graph = self._graph(lambda **tensors: self._step(_as_batch(tensors)), warmup=WARM_UP)
            self._replays[shapes] = graph, itertools.count(1)
        replay, calls = self._replays[shapes]
        call = next(calls)
        with self._options.as_tensors():
            if call == WARM_UP:
                return self._prove(batch, replay, tensors)
            if call < WARM_UP:
                return replay(**tensors)
            return self._trial(lambda: replay(**tensors), lambda: self._step(batch))

    def _current_addresses(self) -> list[int]:
        return [tensor.data_ptr() for tensor in self._state()]

    def _prove(self, batch: Batch, replay: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Capture, and compare the first replay with the eager step; return the row of the latter."""
        state = self._state()
        before = [tensor.clone() for tensor in state]
        row = self._step(batch).clone()
        after = [tensor.clone() for tensor in state]
        try:
            _put(state, before)
            replay(**tensors)  # captures
            _put(state, before)
            found = replay(**tensors)
            changes = [float((a - b).abs().max()) for a, b in zip(after, before, strict=True) if a.numel()]
            errors = [float((a - b).abs().max()) for a, b in zip(state, after, strict=True) if a.numel()]
            is_off = any(error > 1e-2 * change + 1e-6 for error, change in zip(errors, changes, strict=True))
            if is_off or not torch.allclose(found, row, rtol=1e-2, atol=1e-6, equal_nan=True):
                raise ValueError("The replay gives other numbers than the step itself.")
            self._addresses = self._current_addresses()
        except Exception as error:  # whatever it is, the step can be made without
            self._trial.failed(error)
        _put(state, after)
        return row


def cuda_graphs(device: str) -> Callable[..., Any]:
    """Return what makes a captured function on a GPU, which need not be the current one."""
    return functools.partial(CudaGraphModule, device=torch.device(device))


def device_clock(device: str) -> Callable[[], float]:
    """Return a clock that waits for a device first."""
    module = torch.get_device_module(torch.device(device).type)

    def now() -> float:
        module.synchronize()
        return time.perf_counter()

    return now


def _named_tensors(batch: Batch) -> dict[str, torch.Tensor]:
    """Return every tensor of a mini-batch of a feed-forward model under a name."""
    named = {name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    named |= {f"observations.{group}": value for group, value in batch.observations.items()}
    return named | {f"param.{index}": value for index, value in enumerate(batch.old_distribution_params or ())}


def _as_batch(named: Mapping[str, torch.Tensor]) -> Batch:
    groups = {name.partition(".")[2]: value for name, value in named.items() if name.startswith("observations.")}
    params = tuple(value for name, value in named.items() if name.startswith("param."))
    fields: dict[str, Any] = {name: value for name, value in named.items() if "." not in name}
    observations = TensorDict(groups, fields["actions"].shape[:-1])
    return Batch(observations=observations, old_distribution_params=params, **fields)
