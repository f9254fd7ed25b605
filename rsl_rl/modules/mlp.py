# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Multi-layer perceptron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from rsl_rl.compat.names import names_of
from rsl_rl.utils import resolve_nn_activation, takes_plain_options
from rsl_rl.utils.limits import check_weights


class MLP(nn.Sequential):
    """Fully connected layers with an activation between them.

    A Linear stands at every even index, an activation at the odd ones; an Unflatten follows the last Linear when
    ``output_dim`` has several dimensions, then the last activation.
    """

    @takes_plain_options
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
        if min(sizes) < 1:
            raise ValueError(
                f"MLP layers need positive widths, got input {input_dim}, hidden_dims {list(hidden_dims)}, "
                f"output {output_dim}."
            )
        check_weights(sum(map(math.prod, itertools.pairwise(sizes))), f"The MLP {sizes}")
        layers: list[nn.Module] = []
        for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
            layers.append(nn.Linear(size_in, size_out))
            if index < len(sizes) - 2:
                layers.append(resolve_nn_activation(activation))
                if isinstance(layers[-1], nn.ELU):
                    # Nothing else needs the layer's output, and the derivative follows from the result.
                    layers[-1].inplace = True
        if len(output_shape) > 1:
            layers.append(nn.Unflatten(-1, output_shape))
        if last_activation is not None:
            layers.append(resolve_nn_activation(last_activation))
        super().__init__(*layers)

    def init_weights(self, scales: float | Sequence[float]) -> None:
        """Initialize weights orthogonally and biases with zero; ``scales`` is one gain for all layers or one each."""
        linears = [module for module in self if isinstance(module, nn.Linear)]
        gains = [scales] * len(linears) if isinstance(scales, (int, float)) else list(scales)
        for linear, gain in zip(linears, gains, strict=True):
            nn.init.orthogonal_(linear.weight, gain=gain)
            nn.init.zeros_(linear.bias)


__getattr__ = names_of(__name__)
