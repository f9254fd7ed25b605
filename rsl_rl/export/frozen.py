# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A model set aside for export: the one that trains is never touched, wherever it lives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class _DetachComputed(TorchFunctionMode):
    """Let ``deepcopy`` detach tensors that are results of a computation; torch refuses to copy them.

    A model keeps such tensors after a forward pass with gradients, e.g. the parameters of its last distribution.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return func(*args, **(kwargs or {}))


# Appended to errors.
OWN_FORWARD_HINT = "A model with a forward() or get_latent() of its own needs an as_jit() and as_onnx() that match."


def frozen_copy(module: ModuleT) -> ModuleT:
    """Return a copy on the CPU in evaluation mode that shares nothing with ``module``.

    Unlike ``copy.deepcopy`` this also works right after a forward pass with gradients.
    """
    with _DetachComputed():
        copied = deepcopy(module)
    return copied.cpu().eval()


@contextlib.contextmanager
def cpu_by_default() -> Iterator[None]:
    """Create new tensors on the CPU; simulators such as Genesis set another default device for the whole process."""
    # torch.get_default_device() fails in torch 2.8 once a default has been taken back.
    previous = torch.empty(0).device
    if previous.type == "cpu":
        yield
        return
    torch.set_default_device(None)
    try:
        yield
    finally:
        torch.set_default_device(previous)
