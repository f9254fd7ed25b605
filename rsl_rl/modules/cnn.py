# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Convolutional encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from rsl_rl.compat.names import names_of
from rsl_rl.utils import check_choice, get_param, listed, resolve_nn_activation, takes_plain_options
from rsl_rl.utils.limits import check_weights

_GLOBAL_POOLS = {"none": None, "max": nn.AdaptiveMaxPool2d, "avg": nn.AdaptiveAvgPool2d}


class CNN(nn.Sequential):
    """Convolutions, each followed by an optional normalization, an activation and an optional pooling."""

    @takes_plain_options
    def __init__(
        self,
        input_dim: tuple[int, int],
        input_channels: int,
        output_channels: Sequence[int],
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        padding: str = "none",
        norm: str | Sequence[str] = "none",
        activation: str = "elu",
        max_pool: bool | Sequence[bool] = False,
        global_pool: str = "none",
        flatten: bool = True,
    ) -> None:
        """Build the layers. Where a sequence is allowed, it has one entry per convolution.

        Args:
            input_dim: Height and width of the images, in pixels.
            input_channels: Channels of the images.
            output_channels: Channels of each convolution.
            kernel_size: Kernel size of the convolutions.
            stride: Stride of the convolutions.
            dilation: Dilation of the convolutions.
            padding: none, zeros, reflect, replicate or circular; all but none pad so that a convolution divides the
                size by its stride.
            norm: none, batch or layer, after the convolutions.
            activation: Name of the activation.
            max_pool: Halve the size after the activation, by the maximum (3x3, stride 2).
            global_pool: none, max or avg over all pixels, at the end.
            flatten: Return vectors instead of feature maps.

        Raises:
            ValueError: An option is unknown, has the wrong number of entries, or leaves no pixel.
        """
        num_layers = len(output_channels)
        per_layer: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        per_layer |= {"norm": norm, "max_pool": max_pool}
        for name, value in per_layer.items():
            if isinstance(value, (list, tuple)) and len(value) != num_layers:
                raise ValueError(f"The CNN's {name} has {len(value)} entries for {num_layers} convolutions: {value}.")
        check_choice("padding", padding, ("none", "zeros", "reflect", "replicate", "circular"), of=" of a CNN")
        check_choice("global_pool", global_pool, _GLOBAL_POOLS, of=" of a CNN")

        layers: list[nn.Module] = []
        channels, size = input_channels, (int(input_dim[0]), int(input_dim[1]))
        for index, width in enumerate(output_channels):
            kernel, step, spread = (get_param(value, index) for value in (kernel_size, stride, dilation))
            layer_norm, pools = get_param(norm, index), get_param(max_pool, index)
            sizes = {"output_channels": width, "kernel_size": kernel, "stride": step, "dilation": spread}
            if small := [name for name, number in sizes.items() if number < 1]:
                raise ValueError(f"The CNN's {listed(small)} of layer {index} must be at least 1: {sizes}.")
            check_choice("norm", layer_norm, ("none", "batch", "layer"), of=" of a CNN")
            mode: Any = "zeros" if padding == "none" else padding
            amount = (0, 0)
            if padding != "none":
                vertical, horizontal = same_padding(size, kernel, step, spread)
                amount = (max(0, vertical), max(0, horizontal))
            check_weights(channels * width * kernel * kernel, f"The CNN's layer {index}")
            layers.append(nn.Conv2d(channels, width, kernel, step, amount, spread, padding_mode=mode))
            size = convolved_size(size, kernel, step, spread, amount)
            if layer_norm == "batch":
                layers.append(nn.BatchNorm2d(width))
            elif layer_norm == "layer":
                layers.append(nn.LayerNorm([width, *size]))
            layers.append(resolve_nn_activation(activation))
            if pools:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
                size = convolved_size(size, 3, 2, 1, (1, 1))
            if min(size) < 1:
                raise ValueError(
                    f"The CNN's layer {index} leaves no pixel of images of {input_dim[0]} x {input_dim[1]}. Use fewer "
                    "layers, smaller kernels or strides, or padding='zeros'."
                )
            channels = width
        if pool := _GLOBAL_POOLS[global_pool]:
            layers.append(pool(1))
            size = (1, 1)
        if flatten:
            layers.append(nn.Flatten())
        super().__init__(*layers)
        self.output_channels = None if flatten else channels
        """Channels of the feature maps; None when the output is flattened."""
        self.output_dim: int | tuple[int, int] = channels * size[0] * size[1] if flatten else size
        """Size of the flattened output; height and width of the feature maps otherwise."""

    def init_weights(self) -> None:
        """Initialize the convolutions as He et al. ("Delving Deep into Rectifiers", 2015), the biases with zero."""
        for module in self:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type] (all have one)


def same_padding(size: tuple[int, int], kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding (height, width) with which a convolution divides a size by its stride, rounding down."""
    height, width = ((side // stride - 1) * stride + dilation * (kernel - 1) + 1 - side for side in size)
    return math.ceil(height / 2), math.ceil(width / 2)


def convolved_size(
    size: tuple[int, int], kernel: int, stride: int, dilation: int, padding: tuple[int, int], is_max_pool: bool = False
) -> tuple[int, int]:
    """Return height and width after a convolution, and after the pooling (3x3, stride 2) that may follow it."""
    height, width = ((size[axis] + 2 * padding[axis] - dilation * (kernel - 1) - 1) // stride + 1 for axis in (0, 1))
    return convolved_size((height, width), 3, 2, 1, (1, 1)) if is_max_pool else (height, width)


__getattr__ = names_of(__name__)
