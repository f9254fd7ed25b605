# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A mini-batch that is written out gives the gradients of automatic differentiation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rsl_rl.core.explicit_step import Network, mini_batch_gradients
from rsl_rl.core.gaussian_ppo import Coefficients, Rollout, losses_and_gradients

B, A, SHARE = 40, 3, 0.25
COEFFICIENTS = Coefficients(clip=0.2, value_clip=0.2, value=0.7, entropy=0.01)


def network(dtype: torch.dtype, outputs: int, is_normalized: bool) -> tuple[Network, nn.Sequential]:
    layers = nn.Sequential(nn.Linear(6, 9), nn.ELU(), nn.Linear(9, 8), nn.ELU(), nn.Linear(8, outputs)).to(dtype)
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    normalizer = (torch.randn(1, 6, dtype=dtype), torch.rand(1, 6, dtype=dtype) + 0.5) if is_normalized else None
    weights, biases = [layer.weight.detach() for layer in linears], [layer.bias.detach() for layer in linears]
    return Network(2.0 * torch.randn(B, 6, dtype=dtype), normalizer, weights, biases), layers


def outputs_of(given: Network, layers: nn.Sequential) -> torch.Tensor:
    if given.normalizer is None:
        return layers(given.x)
    center, spread = given.normalizer
    return layers((given.x - center) / spread)


def parameters_of(layers: nn.Sequential) -> list[nn.Parameter]:
    linears = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [layer.weight for layer in linears] + [layer.bias for layer in linears]


@pytest.mark.parametrize("is_normalized", [False, True])
@pytest.mark.parametrize(
    ("dtype", "products", "tolerance"),
    [(torch.float64, torch.float64, 1e-9), (torch.float32, torch.float32, 1e-5), (torch.float32, torch.bfloat16, 0.03)],
)
def test_gradients_are_those_of_the_layers(
    dtype: torch.dtype, products: torch.dtype, tolerance: float, is_normalized: bool
) -> None:
    torch.manual_seed(0)
    actor, actor_layers = network(dtype, A, is_normalized)
    critic, critic_layers = network(dtype, 1, is_normalized)
    scale = torch.rand(A, dtype=dtype) + 0.5
    mean, value = outputs_of(actor, actor_layers), outputs_of(critic, critic_layers)
    noise = torch.randn(B, A, dtype=dtype)
    rollout = Rollout(
        mean.detach() + 0.5 * noise,
        torch.randn(B, dtype=dtype) - 4.0,
        torch.randn(B, dtype=dtype),
        torch.randn(B, 1, dtype=dtype),
        torch.randn(B, 1, dtype=dtype),
        mean.detach() + 0.1,
        (1.1 * scale).expand(B, A),
    )
    expected_numbers, (to_mean, to_scale, to_value) = losses_and_gradients(mean, scale, value, rollout, COEFFICIENTS)
    expected = [
        *torch.autograd.grad(mean, parameters_of(actor_layers), to_mean * SHARE),
        *torch.autograd.grad(value, parameters_of(critic_layers), to_value * SHARE),
        to_scale * SHARE,
    ]
    numbers, found = mini_batch_gradients(actor, critic, scale, rollout, COEFFICIENTS, SHARE, products)
    assert [gradient.dtype for gradient in found] == [dtype] * len(expected)
    for gradient, wanted in zip(found, expected, strict=True):
        # In units of the largest entry: bfloat16 has three digits.
        assert float((gradient - wanted).abs().max()) <= tolerance * max(1e-3, float(wanted.abs().max()))
    torch.testing.assert_close(numbers, expected_numbers * SHARE, rtol=tolerance, atol=tolerance)
