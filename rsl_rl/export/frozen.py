# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A model set aside for export: the one that trains is never touched, wherever it lives."""

from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class _DetachComputed(TorchFunctionMode):
    """Let ``deepcopy`` detach the results of a computation, which torch refuses to copy: a last distribution's are."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            return memo.setdefault(id(tensor), tensor.detach().clone())
        return func(*args, **(kwargs or {}))


def frozen_copy(module: ModuleT) -> ModuleT:
    """Return a copy on the CPU in evaluation mode that shares nothing with ``module``, also right after a forward."""
    with _DetachComputed():
        copied = deepcopy(module)
    return copied.cpu().eval()
