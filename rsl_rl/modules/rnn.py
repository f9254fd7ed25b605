# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent layers that keep the hidden state of every environment."""

from collections.abc import Callable, Sequence
from typing import Optional, TypeAlias, Union

import torch
from torch import nn

from rsl_rl.core.recurrence import Segments, gru_over_time, gru_step, lstm_over_time, lstm_step
from rsl_rl.core.trajectories import unpad_trajectories
from rsl_rl.utils.suggest import did_you_mean

HiddenState: TypeAlias = Optional[Union[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]]  # noqa: UP007, UP045
"""Hidden state of a recurrent model: a GRU's [layers, N, hidden], an LSTM's pair of them, None without recurrence."""

_TYPES: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class RNN(nn.Module):
    """An LSTM or GRU, step by step over a batch of environments or over whole padded trajectories."""

    in_own_steps = True
    """Whether it may be computed by :mod:`rsl_rl.core.recurrence` instead of torch's layer."""

    def __init__(self, input_size: int, hidden_dim: int = 256, num_layers: int = 1, type: str = "lstm") -> None:
        """Build the layers; the hidden state starts empty.

        Args:
            input_size: Size of the input.
            hidden_dim: Size of each layer's hidden state, and of the output.
            num_layers: Number of layers.
            type: lstm or gru.

        Raises:
            ValueError: The type is unknown.
        """
        super().__init__()
        if type.lower() not in _TYPES:
            raise ValueError(f"Unknown rnn_type {type!r}.{did_you_mean(type, _TYPES)} Valid: {', '.join(_TYPES)}")
        self.rnn = _TYPES[type.lower()](input_size, hidden_dim, num_layers=num_layers)  # type: ignore[call-arg]
        self.hidden_state: HiddenState = None

    def forward(
        self, input: torch.Tensor, masks: torch.Tensor | Segments | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Run over one step, which moves the hidden state, or over trajectories, which does not touch it.

        Args:
            input: One step, [N, input_size]; with ``masks`` padded trajectories, [T, n_traj, input_size], with
                segments a rollout, [T, N, input_size].
            masks: [T, n_traj], bool, True where a trajectory has a step; or where the episodes of a rollout start.
            hidden_state: State at the first step of every trajectory, [layers, n_traj, hidden]; None for zeros. With
                segments the states before all steps, [T, layers, N, hidden].

        Returns:
            [1, N, hidden], for trajectories and segments [T, N, hidden].
        """
        if isinstance(masks, Segments):
            is_lstm = isinstance(self.rnn, nn.LSTM)
            if hidden_state is None:
                zeros = input.new_zeros(len(input), self.rnn.num_layers, input.shape[1], self.rnn.hidden_size)
                hidden_state = (zeros, zeros) if is_lstm else zeros
            over_time = lstm_over_time if is_lstm else gru_over_time
            return over_time(input, masks, hidden_state, self._weights())  # type: ignore[arg-type]
        if masks is None and self._steps_are_ours(input):
            return self._step(input)
        if masks is None:
            output, self.hidden_state = self.rnn(input.unsqueeze(0), self.hidden_state)
            # Autocast returns bfloat16, which the layers do not take back.
            dtype = next(self.rnn.parameters()).dtype
            self._change(lambda state: state.to(dtype))
            return output
        output, _ = self.rnn(input, hidden_state)
        return unpad_trajectories(output, masks)

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Start anew.

        Args:
            dones: [N], non-zero for the environments whose state becomes zero; None for all.
            hidden_state: With ``dones`` None: the state to go on with; None to start empty.

        Raises:
            ValueError: Both were given.
        """
        if dones is None:
            self.hidden_state = hidden_state
            return
        if hidden_state is not None:
            raise ValueError("Give either dones or a hidden state to RNN.reset(), not both.")
        if dones.device.type == "cpu" and not dones.any():
            return
        keep = (dones == 0).view(1, -1, 1)
        # Not a product: the state to forget may be NaN.
        self._change(lambda state: torch.where(keep, state, 0.0))

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient history of the hidden state.

        Args:
            dones: [N], non-zero for the environments whose history is cut; None for all.
        """
        if dones is None:
            self._change(torch.Tensor.detach)
        else:
            cut = (dones != 0).view(1, -1, 1)
            self._change(lambda state: torch.where(cut, state.detach(), state))

    def runs_over_segments(self) -> bool:
        """Return whether the layers are torch's own, on the CPU, where nobody has changed or hooked into them."""
        rnn = self.rnn
        is_plain = (
            self.in_own_steps
            and type(self) is RNN
            and type(rnn) in (nn.LSTM, nn.GRU)
            and rnn.bias
            and not rnn.bidirectional
        )
        is_plain = is_plain and rnn.dropout == 0.0 and not getattr(rnn, "proj_size", 0)
        hooks = (self._forward_hooks, self._forward_pre_hooks, rnn._forward_hooks, rnn._forward_pre_hooks)
        return is_plain and not any(hooks) and all(p.device.type == "cpu" for p in rnn.parameters())

    def _steps_are_ours(self, input: torch.Tensor) -> bool:
        """Return whether one step can be computed without what torch prepares for gradients and sequences."""
        if torch.is_grad_enabled() or input.dtype != torch.float32 or input.device.type != "cpu":
            return False
        if (
            torch.compiler.is_compiling()
            or torch._C._get_tracing_state() is not None
            or torch.is_autocast_enabled("cpu")
        ):
            return False
        return self.runs_over_segments()

    def _step(self, x: torch.Tensor) -> torch.Tensor:
        state, num_layers, size = self.hidden_state, self.rnn.num_layers, self.rnn.hidden_size
        if state is None:
            zeros = x.new_zeros(num_layers, len(x), size)
            state = (zeros, zeros) if isinstance(self.rnn, nn.LSTM) else zeros
        if isinstance(state, tuple):
            pairs = []
            for h, c, weights in zip(*state, self._weights(), strict=True):
                pairs.append(lstm_step(x, h, c, weights))
                x = pairs[-1][0]
            h, c = zip(*pairs, strict=True)
            self.hidden_state = (_stacked(h), _stacked(c))
        else:
            states = []
            for h, weights in zip(state, self._weights(), strict=True):
                x = gru_step(x, h, weights)
                states.append(x)
            self.hidden_state = _stacked(states)
        return x.unsqueeze(0)

    def _weights(self) -> list[list[torch.Tensor]]:
        """Return the weights of every layer."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [[getattr(self.rnn, f"{name}_l{layer}") for name in names] for layer in range(self.rnn.num_layers)]

    def _change(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        if isinstance(self.hidden_state, tuple):
            self.hidden_state = (change(self.hidden_state[0]), change(self.hidden_state[1]))
        elif self.hidden_state is not None:
            self.hidden_state = change(self.hidden_state)


def _stacked(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return [layers, N, hidden], without copying the state of a single layer."""
    return states[0].unsqueeze(0) if len(states) == 1 else torch.stack(tuple(states))
