# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""An ELU that is faster on the CPU; benchmarks/README.md has what it gains."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_LOG2_E = math.log2(math.e)
# Below, the calls cost more than the numbers.
_SMALL = 1 << 14


class ELU(nn.ELU):
    """``torch.nn.ELU`` with alpha 1, the same up to rounding, for large float32 tensors on the CPU.

    There torch computes a power of two several times as fast as an exponential, and the derivative follows from the
    result: the input need not be kept for it.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the ELU of a tensor of any shape."""
        # Compilers and exporters get torch's own operation.
        if torch.jit.is_scripting() or torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore
            return functional.elu(input)
        if input.numel() < _SMALL or input.dtype != torch.float32 or input.device.type != "cpu":
            return functional.elu(input)
        return _PowerOfTwo.apply(input)  # type: ignore[return-value]


class _PowerOfTwo(torch.autograd.Function):
    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        negative = x.clamp_max(0.0).mul_(_LOG2_E).exp2_().sub_(1.0)
        return torch.maximum(x, negative, out=negative)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.elu_backward(gradients[0], 1.0, 1.0, 1.0, True, ctx.saved_tensors[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: torch.Tensor) -> tuple[Any, int | None]:
        return _PowerOfTwo.apply(x), in_dims[0]  # number by number, whatever the dimensions mean
