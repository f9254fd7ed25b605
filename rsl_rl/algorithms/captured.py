# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A mini-batch step as a CUDA graph: its hundreds of kernels are launched with one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from typing import Any

import torch
from tensordict import TensorDict

from rsl_rl.storage import RolloutStorage

Step = Callable[[RolloutStorage.Batch], torch.Tensor]
Capture = Callable[[Callable[[], torch.Tensor]], tuple[Callable[[], Any], torch.Tensor]]
"""Takes a function and does not run it; returns what replays it, and where the result then stands."""

# Eager steps before a capture: optimizers allocate their state, libraries choose their kernels.
_WARM_UP = 3
# Of the largest change, and of the largest number.
_TOLERANCE, _ROUNDING = 1e-2, 1e-6


def capture_on_gpu(function: Callable[[], torch.Tensor]) -> tuple[Callable[[], Any], torch.Tensor]:
    """Capture what a function does on the current GPU."""
    graph = torch.cuda.CUDAGraph()
    # Simulators call CUDA from threads of their own meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = function()
    return graph.replay, result


class CapturedStep:
    """Runs a step eagerly until its shapes are known, then replays it; what cannot be captured stays eager.

    The first replay is compared with the eager step from the same state. A step that waits for the device cannot be
    captured (a function of the user's that looks at a tensor, for one), which is said once.
    """

    def __init__(self, step: Step, state: Callable[[], list[torch.Tensor]], capture: Capture = capture_on_gpu) -> None:
        """Set up.

        Args:
            step: Learns from a mini-batch without waiting for the device, and returns its row of the record.
            state: Returns every tensor that a step changes.
            capture: How to capture.
        """
        self._step = step
        self._state = state
        self._capture = capture
        self._is_possible = True
        self._options: Hashable = None
        self._shapes: list[tuple[torch.Size, torch.dtype]] = []
        self._addresses: list[int] = []
        self._num_eager = 0
        self._replay: Callable[[], Any] | None = None
        self._static: RolloutStorage.Batch | None = None
        self._row: torch.Tensor | None = None

    def begin(self, options: Hashable) -> None:
        """Start an update.

        Args:
            options: Whatever a step depends on beside its mini-batch. When that changes, or the state lies elsewhere
                (a checkpoint was loaded), the step is captured anew.
        """
        if options != self._options or (self._replay is not None and self._addresses != self._addresses_now()):
            self._options, self._shapes = options, []

    def __call__(self, batch: RolloutStorage.Batch) -> torch.Tensor:
        """Make a step.

        Args:
            batch: The mini-batch; its tensors may lie anywhere.

        Returns:
            The row of the record.

        Warns:
            UserWarning: The step cannot be captured.
        """
        shapes = [(value.shape, value.dtype) for value in _tensors(batch)]
        if shapes != self._shapes:
            self._shapes, self._num_eager, self._replay = shapes, 0, None
        if not self._is_possible or self._num_eager < _WARM_UP:
            self._num_eager += 1
            return self._step(batch)
        if self._replay is None:
            return self._first(batch)
        for target, value in zip(_tensors(self._static), _tensors(batch), strict=True):
            target.copy_(value)
        self._replay()
        return self._row.clone()  # type: ignore[union-attr] (there is one with the replay)

    def _first(self, batch: RolloutStorage.Batch) -> torch.Tensor:
        """Capture, and compare the first replay with the eager step; return the row of the latter."""
        state = self._state()
        before = [tensor.clone() for tensor in state]
        row = self._step(batch).clone()
        after = [tensor.clone() for tensor in state]
        try:
            self._static = static = batch.map(lambda value: value.clone())
            self._put(state, before)
            self._replay, self._row = self._capture(lambda: self._step(static))
            self._addresses = self._addresses_now()
            self._replay()
            if not _agree([self._row, *state], [row, *after], [torch.zeros_like(row), *before]):
                raise ValueError("The replay gives other numbers than the step itself.")
        except Exception as error:  # whatever it is, the step can be made without
            self._is_possible = False
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            warnings.warn(f"The mini-batch step cannot be captured as a graph and stays eager. {reason}", stacklevel=5)
        self._put(state, after)
        return row

    def _addresses_now(self) -> list[int]:
        return [tensor.data_ptr() for tensor in self._state()]

    @staticmethod
    @torch.no_grad()
    def _put(state: list[torch.Tensor], values: list[torch.Tensor]) -> None:
        for tensor, value in zip(state, values, strict=True):
            tensor.copy_(value)


def options_of(alg: Any) -> tuple[Any, ...]:
    """Return the options of an algorithm that a graph holds as numbers, which programs may change between updates."""
    own = ((name, value) for name, value in vars(alg).items() if not name.startswith("_"))
    return tuple((name, value) for name, value in own if isinstance(value, (bool, int, float, str)))


def _tensors(batch: Any) -> list[torch.Tensor]:
    """Return all tensors of a mini-batch in a fixed order."""
    found: list[torch.Tensor] = []
    for value in vars(batch).values():
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, TensorDict):
            found += [value[key] for key in sorted(str(key) for key in value.keys())]  # noqa: SIM118
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def _agree(found: list[torch.Tensor], expected: list[torch.Tensor], before: list[torch.Tensor]) -> bool:
    """Return whether all tensors have changed alike, but for rounding; waits for the device."""
    for a, b, start in zip(found, expected, before, strict=True):
        change, size = (b - start).abs().double(), b.abs().double()
        if b.numel() == 0 or not bool(b.isfinite().all()):
            continue
        if float((a - b).abs().max()) > _TOLERANCE * float(change.max()) + _ROUNDING * float(size.max()):
            return False
    return True
