# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Linear layers with ELU between them as one function: what autograd would keep and compute twice is kept once.

Legend: B samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

_LOG2_E = math.log2(math.e)
# Below, the calls cost more than the numbers.
_SMALL = 1 << 14


def feed_forward(x: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the output of linear layers with an ELU between them, [B, output_dim].

    As ``torch.nn`` computes it, up to rounding. Gradients of gradients are supported.

    Args:
        x: [B, input_dim].
        weights: Of every layer, [size_out, size_in].
        biases: Of every layer, [size_out].
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *weights, *biases)):
        return _FeedForward.apply(x, len(weights), *weights, *biases)  # type: ignore[return-value]
    return _layers(x, weights, biases)[-1]


def elu_(x: torch.Tensor) -> torch.Tensor:
    """Overwrite x, of any shape, with its ELU, and return it."""
    if x.device.type != "cpu" or x.numel() < _SMALL:
        return functional.elu_(x)
    # On the CPU torch has a much faster power of two than exponential.
    negative = x.clamp_max(0.0).mul_(_LOG2_E).exp2_().sub_(1.0)
    return torch.maximum(x, negative, out=x)


def _layers(x: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the input of every layer and the output."""
    outputs = [x]
    last = len(weights) - 1
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = torch.addmm(bias, x, weight.t())
        if index < last:
            elu_(x)
        outputs.append(x)
    return outputs


class _FeedForward(torch.autograd.Function):
    """An ELU has its derivative from its result: its input need not be kept, nor an exponential be taken again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, num_layers: int, *parameters: torch.Tensor) -> torch.Tensor:
        weights, biases = parameters[:num_layers], parameters[num_layers:]
        *inputs, output = _layers(x, weights, biases)
        ctx.num_layers = num_layers
        ctx.save_for_backward(*inputs, *parameters)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,), num_layers = gradients, ctx.num_layers
        inputs, parameters = ctx.saved_tensors[:num_layers], ctx.saved_tensors[num_layers:]
        weights, biases = parameters[:num_layers], parameters[num_layers:]
        if torch.is_grad_enabled():
            return _differentiable_backward(ctx.needs_input_grad, gradient, inputs[0], weights, biases)
        to_weights: list[torch.Tensor | None] = [None] * num_layers
        to_biases: list[torch.Tensor | None] = [None] * num_layers
        needs_x, _, *needs = ctx.needs_input_grad
        # Nothing is needed of what lies before the first layer that learns.
        first = min((index % num_layers for index, needed in enumerate(needs) if needed), default=num_layers)
        first = 0 if needs_x else first
        for index in range(num_layers - 1, first - 1, -1):
            if needs[index]:
                to_weights[index] = gradient.t().mm(inputs[index])
            if needs[num_layers + index]:
                to_biases[index] = gradient.sum(dim=0)
            if index > first:
                gradient = gradient.mm(weights[index])
                gradient = torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, inputs[index])
        to_x = gradient.mm(weights[0]) if needs_x else None
        return to_x, None, *to_weights, *to_biases


def _differentiable_backward(
    needs: tuple[bool, ...],
    gradient: torch.Tensor,
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
) -> tuple[torch.Tensor | None, ...]:
    """Return the gradients as functions of everything they depend on, for penalties on gradients."""
    output = x
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        output = functional.linear(output, weight, bias)
        if index < len(weights) - 1:
            output = functional.elu(output)
    given = (x, None, *weights, *biases)
    wanted = [tensor for tensor, needed in zip(given, needs, strict=True) if needed and tensor is not None]
    found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=True))
    return tuple(next(found) if needed else None for needed in needs)
