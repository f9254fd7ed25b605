# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""LSTM and GRU over a rollout whose episodes end anywhere: no padding, and one large product for what has no order.

The equations are those of ``torch.nn.LSTM`` and ``torch.nn.GRU``. Their gradients are written out, so that the weights
get theirs from all steps at once.

Legend: T steps, N environments, I inputs, H hidden size, G gates (4 or 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

Weights = Sequence[torch.Tensor]
"""Of one layer, as torch names them: weight_ih [G * H, I], weight_hh [G * H, H], bias_ih and bias_hh [G * H]."""


class Segments(NamedTuple):
    """Stands for the masks of padded trajectories where a rollout is not padded."""

    is_first_TN: torch.Tensor
    """[T, N], bool, whether an episode starts with this step."""


# Compilers would unroll the steps, for minutes.
@torch.compiler.disable
def lstm_over_time(
    x: torch.Tensor, is_first: torch.Tensor, starts: tuple[torch.Tensor, torch.Tensor], layers: Sequence[Weights]
) -> torch.Tensor:
    """Return the output of an LSTM, [T, N, H].

    Args:
        x: [T, N, I].
        is_first: [T, N], bool, where a hidden state of ``starts`` replaces the one before; all of the first step.
        starts: (h, c), each [T, layers, N, H], read only where ``is_first``.
        layers: Weights of every layer.
    """
    for index, weights in enumerate(layers):
        x = _LSTM.apply(x, is_first, starts[0][:, index], starts[1][:, index], *weights)  # type: ignore[assignment]
    return x


@torch.compiler.disable
def gru_over_time(
    x: torch.Tensor, is_first: torch.Tensor, starts: torch.Tensor, layers: Sequence[Weights]
) -> torch.Tensor:
    """Return the output of a GRU, [T, N, H]. As :func:`lstm_over_time`, with ``starts`` [T, layers, N, H]."""
    for index, weights in enumerate(layers):
        x = _GRU.apply(x, is_first, starts[:, index], *weights)  # type: ignore[assignment]
    return x


def lstm_step(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """Return h and c [N, H] after one step of one layer from x [N, I]; without gradient."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    gates = torch.addmm(bias_ih + bias_hh, x, weight_ih.t()).addmm_(h, weight_hh.t())
    i, f, g, o = _activate_lstm(gates)
    c = torch.addcmul(f * c, i, g)
    return o * _tanh(c), c


def gru_step(x: torch.Tensor, h: torch.Tensor, weights: Weights) -> torch.Tensor:
    """Return h [N, H] after one step of one layer from x [N, I]; without gradient."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    of_x, of_h = torch.addmm(bias_ih, x, weight_ih.t()), torch.addmm(bias_hh, h, weight_hh.t())
    size = h.shape[1]
    r, z = of_x[:, : 2 * size].add_(of_h[:, : 2 * size]).sigmoid_().chunk(2, dim=1)
    n = _tanh(torch.addcmul(of_x[:, 2 * size :], r, of_h[:, 2 * size :]))
    return torch.lerp(n, h, z)


def _tanh(x: torch.Tensor) -> torch.Tensor:
    """Return the hyperbolic tangent; on the CPU torch has a much faster logistic function."""
    return torch.tanh(x) if x.device.type != "cpu" else (2.0 * x).sigmoid_().mul_(2.0).sub_(1.0)


def _activate_lstm(gates: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Overwrite the gates [N, 4 * H] with their activations; return i, f, g and o as views, each [N, H]."""
    i, f, g, o = gates.chunk(4, dim=1)
    # tanh(x) = 2 sigmoid(2 x) - 1: one call for all gates.
    g.mul_(2.0)
    gates.sigmoid_()
    g.mul_(2.0).sub_(1.0)
    return i, f, g, o


class _LSTM(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        is_first: torch.Tensor,
        starts_h: torch.Tensor,
        starts_c: torch.Tensor,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias_ih: torch.Tensor,
        bias_hh: torch.Tensor,
    ) -> torch.Tensor:
        num_steps, num_envs, size = len(x), x.shape[1], weight_hh.shape[1]
        gates = torch.addmm(bias_ih + bias_hh, x.reshape(num_steps * num_envs, -1), weight_ih.t())
        gates = gates.view(num_steps, num_envs, 4 * size)
        before_h, before_c, output, tanh_c = gates.new_empty(4, num_steps, num_envs, size).unbind(0)
        h = c = gates.new_zeros(num_envs, size)
        is_first = is_first.unsqueeze(-1)
        for t in range(num_steps):
            torch.where(is_first[t], starts_h[t], h, out=before_h[t])
            torch.where(is_first[t], starts_c[t], c, out=before_c[t])
            i, f, g, o = _activate_lstm(gates[t].addmm_(before_h[t], weight_hh.t()))
            c = torch.mul(f, before_c[t]).addcmul_(i, g)
            tanh_c[t] = _tanh(c)
            h = torch.mul(o, tanh_c[t], out=output[t])
        ctx.save_for_backward(x, is_first, gates, before_h, before_c, tanh_c, weight_ih, weight_hh)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, is_first, gates, before_h, before_c, tanh_c, weight_ih, weight_hh = ctx.saved_tensors
        num_steps, num_envs, size = tanh_c.shape
        i, f, g, o = gates.chunk(4, dim=2)
        # What a gradient of c (i, f, g) and of h (o) is multiplied by on its way to the gates.
        factors = torch.empty_like(gates).view(num_steps, num_envs, 4, size)
        torch.mul(g, i - i * i, out=factors[:, :, 0])
        torch.mul(before_c, f - f * f, out=factors[:, :, 1])
        torch.mul(i, 1.0 - g * g, out=factors[:, :, 2])
        torch.mul(tanh_c, o - o * o, out=factors[:, :, 3])
        from_h_to_c = o * (1.0 - tanh_c * tanh_c)
        to_h = to_c = gates.new_zeros(num_envs, size)
        for t in range(num_steps - 1, -1, -1):
            to_h = to_h + gradients[0][t]
            to_c = torch.addcmul(to_c, to_h, from_h_to_c[t])
            # The factors become the gradients of the gates.
            factors[t, :, :3].mul_(to_c.unsqueeze(1))
            factors[t, :, 3].mul_(to_h)
            to_h = factors[t].view(num_envs, -1).mm(weight_hh).masked_fill_(is_first[t], 0.0)
            to_c = torch.mul(to_c, f[t]).masked_fill_(is_first[t], 0.0)
        of_gates = factors.view(num_steps * num_envs, 4 * size)
        to_bias = of_gates.sum(dim=0)
        to_x = of_gates.mm(weight_ih).view_as(x) if ctx.needs_input_grad[0] else None
        to_weight_ih = of_gates.t().mm(x.reshape(len(of_gates), -1))
        to_weight_hh = of_gates.t().mm(before_h.view(len(of_gates), -1))
        return to_x, None, None, None, to_weight_ih, to_weight_hh, to_bias, to_bias.clone()


class _GRU(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        is_first: torch.Tensor,
        starts: torch.Tensor,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias_ih: torch.Tensor,
        bias_hh: torch.Tensor,
    ) -> torch.Tensor:
        num_steps, num_envs, size = len(x), x.shape[1], weight_hh.shape[1]
        gates = torch.addmm(bias_ih, x.reshape(num_steps * num_envs, -1), weight_ih.t())
        gates = gates.view(num_steps, num_envs, 3 * size)
        before, output, n_of_h = gates.new_empty(3, num_steps, num_envs, size).unbind(0)
        h = gates.new_zeros(num_envs, size)
        is_first = is_first.unsqueeze(-1)
        for t in range(num_steps):
            torch.where(is_first[t], starts[t], h, out=before[t])
            of_h = torch.addmm(bias_hh, before[t], weight_hh.t())
            n_of_h[t] = of_h[:, 2 * size :]
            r, z = gates[t, :, : 2 * size].add_(of_h[:, : 2 * size]).sigmoid_().chunk(2, dim=1)
            n = gates[t, :, 2 * size :].addcmul_(r, n_of_h[t])
            n.copy_(_tanh(n))
            h = torch.lerp(n, before[t], z, out=output[t])
        ctx.save_for_backward(x, is_first, gates, before, n_of_h, weight_ih, weight_hh)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, is_first, gates, before, n_of_h, weight_ih, weight_hh = ctx.saved_tensors
        num_steps, num_envs, size = before.shape
        r, z, n = gates.chunk(3, dim=2)
        # What a gradient of h is multiplied by on its way to r, z and n.
        factors = torch.empty_like(gates).view(num_steps, num_envs, 3, size)
        to_n = torch.mul(1.0 - z, 1.0 - n * n, out=factors[:, :, 2])
        torch.mul(to_n * n_of_h, r - r * r, out=factors[:, :, 0])
        torch.mul(before - n, z - z * z, out=factors[:, :, 1])
        of_h_gates = torch.empty_like(gates)
        to_h = gates.new_zeros(num_envs, size)
        for t in range(num_steps - 1, -1, -1):
            to_h = to_h + gradients[0][t]
            factors[t].mul_(to_h.unsqueeze(1))
            of_h_gates[t, :, : 2 * size] = factors[t, :, :2].reshape(num_envs, -1)
            torch.mul(factors[t, :, 2], r[t], out=of_h_gates[t, :, 2 * size :])
            to_h = torch.mul(to_h, z[t]).addmm_(of_h_gates[t], weight_hh).masked_fill_(is_first[t], 0.0)
        of_gates, of_h_gates = factors.view(num_steps * num_envs, -1), of_h_gates.view(num_steps * num_envs, -1)
        to_x = of_gates.mm(weight_ih).view_as(x) if ctx.needs_input_grad[0] else None
        to_weight_ih = of_gates.t().mm(x.reshape(len(of_gates), -1))
        to_weight_hh = of_h_gates.t().mm(before.view(len(of_gates), -1))
        return to_x, None, None, to_weight_ih, to_weight_hh, of_gates.sum(dim=0), of_h_gates.sum(dim=0)
