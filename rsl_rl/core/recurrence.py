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
from torch.nn import functional

Weights = Sequence[torch.Tensor]
"""Of one layer, as torch names them: weight_ih [G * H, I], weight_hh [G * H, H], bias_ih and bias_hh [G * H]."""


class Segments(NamedTuple):
    """Stands for the masks of padded trajectories where a rollout is not padded."""

    restarts: tuple[torch.Tensor | None, ...]
    """For each of T steps the environments whose episode starts with it, [k]; None where there are none."""

    @classmethod
    def of(cls, dones_TN: torch.Tensor) -> Segments:
        """Find where episodes start, given where they end; dones [T, N], on the host."""
        rows = [done_N.nonzero().flatten() for done_N in dones_TN[:-1]]
        return cls((torch.arange(dones_TN.shape[1]), *(row if len(row) else None for row in rows)))


# Compilers would unroll the steps, for minutes.
@torch.compiler.disable
def lstm_over_time(
    x: torch.Tensor, segments: Segments, starts: tuple[torch.Tensor, torch.Tensor], layers: Sequence[Weights]
) -> torch.Tensor:
    """Return the output of an LSTM, [T, N, H].

    Args:
        x: [T, N, I].
        segments: Where episodes start, and a hidden state of ``starts`` replaces the one before.
        starts: (h, c), each [T, layers, N, H], read only there.
        layers: Weights of every layer.
    """
    for index, weights in enumerate(layers):
        x = _LSTM.apply(x, segments, starts[0][:, index], starts[1][:, index], *weights)  # type: ignore[assignment]
    return x


@torch.compiler.disable
def gru_over_time(x: torch.Tensor, segments: Segments, starts: torch.Tensor, layers: Sequence[Weights]) -> torch.Tensor:
    """Return the output of a GRU, [T, N, H]. As :func:`lstm_over_time`, with ``starts`` [T, layers, N, H]."""
    for index, weights in enumerate(layers):
        x = _GRU.apply(x, segments, starts[:, index], *weights)  # type: ignore[assignment]
    return x


def lstm_step(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """Return h and c [N, H] after one step of one layer from x [N, I]; without gradient."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    gates = torch.addmm(bias_ih + bias_hh, x, weight_ih.t()).addmm_(h, weight_hh.t())
    i, f, g, o = gates.chunk(4, dim=1)
    # tanh(x) = 2 sigmoid(2 x) - 1: one call for all gates.
    g.mul_(2.0)
    gates.sigmoid_()
    g.mul_(2.0).sub_(1.0)
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


def _restart(before: torch.Tensor, state: torch.Tensor | None, starts: torch.Tensor, rows: Any) -> torch.Tensor:
    """Write the state before a step into ``before`` [N, H]: that after the last step, or where an episode starts."""
    if state is None:
        return before.copy_(starts)
    before.copy_(state)
    return before if rows is None else before.index_copy_(0, rows, starts.index_select(0, rows))


def _cut(gradient: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
    """Let no gradient of a state [N, H] pass where an episode starts."""
    return gradient if rows is None else gradient.index_fill_(0, rows, 0.0)


def _logistic_slope(y: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Write the derivative of the logistic function, given its value: y - y * y."""
    return torch.addcmul(y, y, y, value=-1, out=out)


class _LSTM(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        segments: Segments,
        starts_h: torch.Tensor,
        starts_c: torch.Tensor,
        weight_ih: torch.Tensor,
        weight_hh: torch.Tensor,
        bias_ih: torch.Tensor,
        bias_hh: torch.Tensor,
    ) -> torch.Tensor:
        num_steps, num_envs, size = len(x), x.shape[1], weight_hh.shape[1]
        # A column of ones for the bias: adding it would be another pass over the gates, here and for its gradient.
        x = functional.pad(x.reshape(num_steps * num_envs, -1), (0, 1), value=1.0)
        gates = x.mm(torch.cat([weight_ih, (bias_ih + bias_hh).unsqueeze(1)], dim=1).t())
        gates = gates.view(num_steps, num_envs, 4 * size)
        before_h, before_c, output, tanh_c = gates.new_empty(4, num_steps, num_envs, size).unbind(0)
        steps = zip(
            gates.unbind(0),
            *(gate.unbind(0) for gate in gates.chunk(4, dim=2)),
            *(part.unbind(0) for part in (before_h, before_c, starts_h, starts_c, output, tanh_c)),
            segments.restarts,
            strict=True,
        )
        weight_t, h, c = weight_hh.t(), None, None
        for all_t, i, f, g, o, before_h_t, before_c_t, starts_h_t, starts_c_t, output_t, tanh_c_t, rows in steps:
            _restart(before_h_t, h, starts_h_t, rows)
            _restart(before_c_t, c, starts_c_t, rows)
            all_t.addmm_(before_h_t, weight_t)
            # tanh(x) = 2 sigmoid(2 x) - 1: one call for all gates.
            g.mul_(2.0)
            all_t.sigmoid_()
            g.mul_(2.0).sub_(1.0)
            c = torch.mul(f, before_c_t).addcmul_(i, g)
            torch.mul(c, 2.0, out=tanh_c_t).sigmoid_().mul_(2.0).sub_(1.0)
            h = torch.mul(o, tanh_c_t, out=output_t)
        ctx.restarts = segments.restarts
        ctx.save_for_backward(x, gates, before_h, before_c, output, tanh_c, weight_ih, weight_hh)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override] (the decorator renames its parameters)
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        x, gates, before_h, before_c, output, tanh_c, weight_ih, weight_hh = ctx.saved_tensors
        num_steps, num_envs, size = tanh_c.shape
        i, f, g, o = gates.chunk(4, dim=2)
        # What a gradient of c (for i, f, g) and of h (for o) is multiplied by on its way to the gates.
        to_gates = torch.empty_like(gates)
        to_i, to_f, to_g, to_o = to_gates.chunk(4, dim=2)
        _logistic_slope(i, to_i).mul_(g)
        _logistic_slope(f, to_f).mul_(before_c)
        torch.addcmul(i, torch.mul(i, g, out=to_g), g, value=-1, out=to_g)
        _logistic_slope(o, to_o).mul_(tanh_c)
        from_h_to_c = torch.addcmul(o, output, tanh_c, value=-1)
        steps = zip(
            gradients[0].unbind(0),
            from_h_to_c.unbind(0),
            to_gates.unbind(0),
            to_gates.view(num_steps, num_envs, 4, size)[:, :, :3].unbind(0),
            to_o.unbind(0),
            f.unbind(0),
            ctx.restarts,
            strict=True,
        )
        to_h = to_c = gates.new_zeros(num_envs, size)
        for gradient, h_to_c, to_all_t, to_ifg_t, to_o_t, f_t, rows in reversed(list(steps)):
            to_h = to_h + gradient
            to_c = torch.addcmul(to_c, to_h, h_to_c)
            # The factors become the gradients of the gates.
            to_ifg_t.mul_(to_c.unsqueeze(1))
            to_o_t.mul_(to_h)
            to_h = _cut(to_all_t.mm(weight_hh), rows)
            to_c = _cut(to_c.mul_(f_t), rows)
        of_gates = to_gates.view(num_steps * num_envs, -1)
        to_x = of_gates.mm(weight_ih).view(num_steps, num_envs, -1) if ctx.needs_input_grad[0] else None
        to_inputs = of_gates.t().mm(x)
        to_weight_hh = of_gates.t().mm(before_h.view(len(of_gates), -1))
        to_bias = to_inputs[:, -1]
        return to_x, None, None, None, to_inputs[:, :-1], to_weight_hh, to_bias, to_bias.clone()


class _GRU(torch.autograd.Function):
    """One layer."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        segments: Segments,
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
        rz, (r, z, n) = gates[:, :, : 2 * size], gates.chunk(3, dim=2)
        parts = (rz, r, z, n, before, starts, output, n_of_h)
        weight_t, h = weight_hh.t(), None
        for (rz_t, r_t, z_t, n_t, before_t, starts_t, output_t, n_of_h_t), rows in zip(
            zip(*(part.unbind(0) for part in parts), strict=True), segments.restarts, strict=True
        ):
            _restart(before_t, h, starts_t, rows)
            of_h = torch.addmm(bias_hh, before_t, weight_t)
            n_of_h_t.copy_(of_h[:, 2 * size :])
            rz_t.add_(of_h[:, : 2 * size]).sigmoid_()
            # tanh(x) = 2 sigmoid(2 x) - 1
            n_t.addcmul_(r_t, n_of_h_t).mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)
            h = torch.lerp(n_t, before_t, z_t, out=output_t)
        ctx.restarts = segments.restarts
        ctx.save_for_backward(x, gates, before, n_of_h, weight_ih, weight_hh)
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override] (as above)
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        x, gates, before, n_of_h, weight_ih, weight_hh = ctx.saved_tensors
        num_steps, num_envs, size = before.shape
        r, z, n = gates.chunk(3, dim=2)
        # What a gradient of h is multiplied by on its way to r, z and n.
        to_gates = torch.empty_like(gates)
        to_r, to_z, to_n = to_gates.chunk(3, dim=2)
        torch.mul(1.0 - z, 1.0 - n * n, out=to_n)
        _logistic_slope(r, to_r).mul_(n_of_h).mul_(to_n)
        _logistic_slope(z, to_z).mul_(before - n)
        # The same for what the hidden state adds to them.
        to_gates_of_h = to_gates.clone()
        to_gates_of_h[:, :, 2 * size :].mul_(r)
        parts = (to_gates.view(num_steps, num_envs, 3, size), to_gates_of_h.view(num_steps, num_envs, 3, size), z)
        to_h = gates.new_zeros(num_envs, size)
        steps = zip(gradients[0].unbind(0), *(part.unbind(0) for part in parts), ctx.restarts, strict=True)
        for gradient, to_gates_t, to_gates_of_h_t, z_t, rows in reversed(list(steps)):
            to_h = to_h + gradient
            to_gates_t.mul_(to_h.unsqueeze(1))
            to_gates_of_h_t.mul_(to_h.unsqueeze(1))
            to_h = _cut(to_h.mul_(z_t).addmm_(to_gates_of_h_t.view(num_envs, -1), weight_hh), rows)
        of_x, of_h = to_gates.view(num_steps * num_envs, -1), to_gates_of_h.view(num_steps * num_envs, -1)
        to_x = of_x.mm(weight_ih).view_as(x) if ctx.needs_input_grad[0] else None
        to_weight_ih = of_x.t().mm(x.reshape(len(of_x), -1))
        to_weight_hh = of_h.t().mm(before.view(len(of_h), -1))
        return to_x, None, None, to_weight_ih, to_weight_hh, of_x.sum(dim=0), of_h.sum(dim=0)
