# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""LSTM and GRU over rollouts: the numbers of torch's layers, run step by step with the hidden states put in by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rsl_rl.core.recurrence import Segments, gru_over_time, lstm_over_time
from rsl_rl.modules import RNN

T, N, INPUTS, H = 9, 5, 4, 6


def reference(net: nn.RNNBase, x: torch.Tensor, dones: torch.Tensor, starts: list[torch.Tensor]) -> torch.Tensor:
    """Run torch's layer step by step; after a done the state of that step replaces the one before."""
    outputs, states = [], [start[0] for start in starts]
    for t in range(T):
        if t > 0:
            restarts = dones[t - 1].view(1, N, 1)
            states = [torch.where(restarts, start[t], state) for start, state in zip(starts, states, strict=True)]
        output, after = net(x[t : t + 1], tuple(states) if len(states) > 1 else states[0])
        states = list(after) if len(states) > 1 else [after]
        outputs.append(output[0])
    return torch.stack(outputs)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("share_of_dones", [0.0, 0.3, 1.0])
def test_outputs_and_gradients_are_those_of_torch(kind: str, layers: int, share_of_dones: float) -> None:
    torch.manual_seed(1)
    rnn = RNN(INPUTS, H, layers, kind).double()
    x = torch.randn(T, N, INPUTS, dtype=torch.double, requires_grad=True)
    dones = torch.rand(T, N) < share_of_dones
    starts = [torch.randn(T, layers, N, H, dtype=torch.double) for _ in range(2 if kind == "lstm" else 1)]
    segments = Segments.of(dones)
    if kind == "lstm":
        found = lstm_over_time(x, segments, (starts[0], starts[1]), rnn._weights())
    else:
        found = gru_over_time(x, segments, starts[0], rnn._weights())
    expected = reference(rnn.rnn, x, dones, starts)
    torch.testing.assert_close(found, expected)
    weights, inputs = torch.randn_like(expected), [x, *rnn.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), inputs), torch.autograd.grad((expected * weights).sum(), inputs)
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_single_steps_are_those_of_torch(kind: str, layers: int) -> None:
    torch.manual_seed(1)
    ours, torchs = RNN(INPUTS, H, layers, kind), RNN(INPUTS, H, layers, kind)
    torchs.load_state_dict(ours.state_dict())
    torchs.in_own_steps = False
    with torch.no_grad():
        for step in range(4):
            x, dones = torch.randn(N, INPUTS), torch.rand(N) < 0.3
            torch.testing.assert_close(ours(x), torchs(x))
            if step:  # Once without: nothing is forgotten then.
                ours.reset(dones)
                torchs.reset(dones)
            torch.testing.assert_close(ours.hidden_state, torchs.hidden_state)
    # With gradients (distillation learns step by step) it is torch's layer that runs.
    assert ours(torch.randn(N, INPUTS)).requires_grad


def test_bad_states_of_ended_episodes_go_nowhere() -> None:
    rnn = RNN(INPUTS, H, 1, "lstm")
    starts = torch.zeros(T, 1, N, H)
    starts[3] = torch.nan  # Nobody starts here.
    output = rnn(torch.randn(T, N, INPUTS), Segments.of(torch.zeros(T, N, dtype=torch.bool)), (starts, starts))
    assert output.isfinite().all()
