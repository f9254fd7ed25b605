# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Multi-layer perceptron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from rsl_rl.core.feed_forward import feed_forward
from rsl_rl.utils import resolve_nn_activation

_GLOBAL_HOOKS = [
    getattr(torch_module, f"_global_{kind}_hooks") for kind in ("forward_pre", "forward", "backward_pre", "backward")
]
"""The registries that modules ask themselves; torch fills and empties them in place."""


class MLP(nn.Sequential):
    """Fully connected layers with an activation between them.

    A Linear stands at every even index, an activation at the odd ones; an Unflatten follows the last Linear when
    ``output_dim`` has several dimensions, then the last activation.
    """

    as_one_function = True
    """Whether models may compute all layers in one function, see :func:`run_layers`."""

    def __init__(
        self,
        input_dim: int,
        output_dim: int | tuple[int, ...] | list[int],
        hidden_dims: Sequence[int],
        activation: str = "elu",
        last_activation: str | None = None,
    ) -> None:
        """Build the layers.

        Args:
            input_dim: Size of the last dimension of the input.
            output_dim: Size of the output, or its shape.
            hidden_dims: Width of each hidden layer; -1 stands for the input dimension.
            activation: Name of the activation after every hidden layer.
            last_activation: Name of the activation after the last layer; None for none.

        Raises:
            ValueError: An activation is unknown or a width is not positive.
        """
        output_shape = (output_dim,) if isinstance(output_dim, int) else tuple(output_dim)
        widths = [input_dim if width == -1 else width for width in hidden_dims]
        sizes = [input_dim, *widths, math.prod(output_shape)]
        if any(size < 1 for size in sizes):
            raise ValueError(
                f"MLP layers need positive widths, got input {input_dim}, hidden_dims {list(hidden_dims)}, "
                f"output {output_dim}."
            )
        layers: list[nn.Module] = []
        for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
            layers.append(nn.Linear(size_in, size_out))
            if index < len(sizes) - 2:
                layers.append(resolve_nn_activation(activation))
        if len(output_shape) > 1:
            layers.append(nn.Unflatten(-1, output_shape))
        if last_activation is not None:
            layers.append(resolve_nn_activation(last_activation))
        super().__init__(*layers)

    def init_weights(self, scales: float | Sequence[float]) -> None:
        """Initialize the weights orthogonally and the biases with zero.

        Args:
            scales: Gain of every Linear layer, one number for all or one per layer.
        """
        linears = [module for module in self if isinstance(module, nn.Linear)]
        gains = [scales] * len(linears) if isinstance(scales, (int, float)) else list(scales)
        for linear, gain in zip(linears, gains, strict=True):
            nn.init.orthogonal_(linear.weight, gain=gain)
            with torch.no_grad():
                linear.bias.zero_()


def run_layers(layers: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return ``layers(x)``, computed as one function where that gives the same up to rounding.

    That is the case for an :class:`MLP` with ELU that nobody has changed or hooked into.

    Args:
        layers: Any module.
        x: [..., input_dim].
    """
    linears = _linears(layers, x)
    if linears is None:
        return layers(x)
    parameters = [linear._parameters for linear in linears]
    weights: list[Any] = [parameter["weight"] for parameter in parameters]
    biases: list[Any] = [parameter["bias"] for parameter in parameters]
    output = feed_forward(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]), weights, biases)
    if x.ndim != 2:
        output = output.view(*x.shape[:-1], output.shape[-1])
    for module in list(layers._modules.values())[2 * len(linears) - 1 :]:
        output = module(output)  # type: ignore[misc] (not None)
    return output


def _linears(layers: nn.Module, x: torch.Tensor) -> list[nn.Linear] | None:
    """Return the linear layers of an MLP if there is an ELU between any two, and plain numbers flow through it."""
    if x.dtype not in (torch.float32, torch.float64):
        return None
    if (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch.is_autocast_enabled(x.device.type)
    ):
        return None
    if torch._C._functorch.peek_interpreter_stack() is not None:  # type: ignore[attr-defined]
        return None
    return elu_layers(layers)


def elu_layers(layers: nn.Module) -> list[nn.Linear] | None:
    """Return the linear layers of an :class:`MLP` with ELUs between them that nobody has changed; None of any other."""
    if type(layers) is not MLP or not layers.as_one_function or any(_GLOBAL_HOOKS) or _has_hooks(layers):
        return None
    linears: list[nn.Linear] = []
    for index, module in enumerate(layers._modules.values()):
        if _has_hooks(module):
            return None
        is_next = index == 2 * len(linears)
        if is_next and type(module) is nn.Linear and module._parameters["bias"] is not None:
            linears.append(module)
        elif is_next or type(module) is not nn.ELU or module.alpha != 1.0:
            break
    return linears if len(linears) > 1 else None


def _has_hooks(module: nn.Module | None) -> bool:
    # Past the module's own slow lookup.
    state = module.__dict__
    return bool(
        state["_forward_hooks"]
        or state["_forward_pre_hooks"]
        or state["_backward_hooks"]
        or state["_backward_pre_hooks"]
    )
