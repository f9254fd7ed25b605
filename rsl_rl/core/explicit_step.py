# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A mini-batch of PPO for multi-layer perceptrons with ELU and a Gaussian policy, as one function of tensors.

Forward and backward pass are written out. Meant for a compiler: it sees neither modules nor recorded gradients, and has
little to check before every call.

Legend: B samples, A actions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from rsl_rl.core.gaussian_ppo import Coefficients, Rollout, losses_and_gradients

_LOG2_E = math.log2(math.e)
Tensors = list[torch.Tensor]


class Network(NamedTuple):
    """A multi-layer perceptron and its input."""

    x: torch.Tensor
    """[B, input_dim]."""
    normalizer: tuple[torch.Tensor, torch.Tensor] | None
    """What is subtracted from the input, and what it is then divided by, each [1, input_dim]."""
    weights: Tensors
    """Of every layer, [size_out, size_in]."""
    biases: Tensors
    """Of every layer, [size_out]."""


def mini_batch_gradients(
    actor: Network,
    critic: Network,
    scale: torch.Tensor,
    rollout: Rollout,
    coefficients: Coefficients,
    share: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, Tensors]:
    """Return losses and gradients.

    Args:
        actor: Its output is the mean of the policy.
        critic: Its output is the value.
        scale: [A], standard deviation of the policy.
        rollout: What the mini-batch remembers.
        coefficients: Options of PPO.
        share: What everything is multiplied by.
        dtype: Type of the matrix products.

    Returns:
        [6], see :func:`rsl_rl.core.gaussian_ppo.losses_and_gradients`; and the gradients of the actor's weights, its
        biases, the critic's weights, its biases, and the scale, in the types of the parameters.
    """
    of_actor, of_critic = _outputs(actor, dtype), _outputs(critic, dtype)
    numbers, (to_mean, to_scale, to_value) = losses_and_gradients(
        of_actor[-1], scale, of_critic[-1], rollout, coefficients
    )
    gradients = [
        *_gradients(actor, of_actor, to_mean * share, dtype),
        *_gradients(critic, of_critic, to_value * share, dtype),
        to_scale * share,
    ]
    return numbers * share, gradients


def _outputs(network: Network, dtype: torch.dtype) -> Tensors:
    """Return the input of every layer, in the type of the products, and the output."""
    x = network.x
    if network.normalizer is not None:
        center, spread = network.normalizer
        x = (x - center) / spread
    outputs = [x.to(dtype)]
    last = len(network.weights) - 1
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        x = outputs[-1].mm(weight.to(dtype).t()).to(bias.dtype) + bias
        if index < last:
            # Processors are faster at powers of two than at exponentials.
            x = torch.where(x > 0.0, x, torch.exp2(x.clamp_max(0.0) * _LOG2_E) - 1.0).to(dtype)
        outputs.append(x)
    return outputs


def _gradients(network: Network, outputs: Tensors, gradient: torch.Tensor, dtype: torch.dtype) -> Tensors:
    """Return the gradients of all weights, then of all biases, given that of the output."""
    to_weights, to_biases = [], []
    for index in range(len(network.weights) - 1, -1, -1):
        weight, bias = network.weights[index], network.biases[index]
        to_biases.append(gradient.sum(dim=0).to(bias.dtype))
        gradient = gradient.to(dtype)
        to_weights.append(gradient.t().mm(outputs[index]).to(weight.dtype))
        if index > 0:
            # The derivative of an ELU follows from its result.
            slope = outputs[index].clamp_max(0.0).to(weight.dtype) + 1.0
            gradient = gradient.mm(weight.to(dtype)).to(weight.dtype) * slope
    return [*reversed(to_weights), *reversed(to_biases)]
