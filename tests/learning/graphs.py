# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A stand-in for CUDA graphs, on the CPU: it records the operations of a function and runs them again.

As with a real graph, whatever Python would do between the operations does not happen when it is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal")
"""Operations that make the host wait for the device."""


class Recording(TorchDispatchMode):
    """Keeps every operation with its tensors. Refuses what waits for the device, as a capture does."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function._schema.name.removeprefix("aten::") in WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Run the operations again, on the same tensors."""
        for function, args, kwargs, result in self.operations:
            for old, new in zip(tree_leaves(result), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new)


class Graphs:
    """Makes graphs that are called like tensordict's ``CudaGraphModule``."""

    def __init__(self, change: Callable[[torch.Tensor], Any] = lambda first: None) -> None:
        self.captures = self.replays = 0
        self._change = change

    def __call__(self, function: Callable[..., Any], warmup: int) -> Callable[..., Any]:
        state: dict[str, Any] = {"calls": 0}

        def call(**tensors: torch.Tensor) -> Any:
            state["calls"] += 1
            if state["calls"] < warmup:
                return function(**{name: tensor.clone() for name, tensor in tensors.items()})
            if state["calls"] == warmup:
                self.captures += 1
                state["inputs"] = {name: tensor.clone() for name, tensor in tensors.items()}
                with Recording() as state["recording"]:
                    state["results"] = function(**state["inputs"])
                return tree_map(torch.clone, state["results"])
            self.replays += 1
            for name, tensor in tensors.items():
                state["inputs"][name].copy_(tensor)
            state["recording"].replay()
            self._change(tree_leaves(state["results"])[0])
            return tree_map(torch.clone, state["results"])

        return call


class Clock:
    """Gives a second for everything that is timed, and other ones for what was replayed."""

    def __init__(self, graphs: Graphs, seconds_of_replay: float) -> None:
        self._graphs, self._seconds_of_replay = graphs, seconds_of_replay
        self._now, self._replays = 0.0, 0

    def __call__(self) -> float:
        was_replayed = self._graphs.replays > self._replays
        self._replays = self._graphs.replays
        self._now += self._seconds_of_replay if was_replayed else 1.0
        return self._now
