# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent layers that keep the hidden state of every environment."""

from collections.abc import Callable, Sequence
from typing import Any, Optional, TypeAlias, Union

import torch
from torch import nn

from rsl_rl.core.trajectories import unpad_trajectories
from rsl_rl.utils import check_choice, takes_plain_options
from rsl_rl.utils.limits import check_weights

HiddenState: TypeAlias = Optional[Union[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]]  # noqa: UP007, UP045
"""Hidden state of a recurrent model: a GRU's [layers, N, hidden], an LSTM's pair of them, None without recurrence."""

_TYPES: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU}


def as_hidden_state(parts: Sequence[torch.Tensor]) -> HiddenState:
    """Return a GRU's one state, an LSTM's two as a tuple, and None without any."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return parts[0], parts[1]


def changed_state(
    state: HiddenState | Sequence[torch.Tensor], change: Callable[[torch.Tensor], torch.Tensor]
) -> HiddenState:
    """Return a hidden state with every tensor of it changed."""
    if state is None:
        return None
    return change(state) if isinstance(state, torch.Tensor) else (change(state[0]), change(state[1]))


class RNN(nn.Module):
    """An LSTM or GRU, step by step over a batch of environments or over whole padded trajectories."""

    @takes_plain_options
    def __init__(self, input_size: int, hidden_dim: int = 256, num_layers: int = 1, type: str = "lstm") -> None:
        """Build the layers, an ``lstm`` or a ``gru``; the hidden state starts empty.

        Raises:
            ValueError: The type is unknown.
        """
        super().__init__()
        check_choice("rnn_type", type.lower(), _TYPES)
        check_weights(4 * hidden_dim * (input_size + hidden_dim * (2 * num_layers - 1)), f"The {type} {hidden_dim}")
        self.rnn = _TYPES[type.lower()](input_size, hidden_dim, num_layers=num_layers)  # type: ignore[call-arg]
        self.hidden_state: HiddenState = None
        # Where layers are, it is: a plain 0.0 would be filled into a tensor at every step.
        self.register_buffer("_zero", torch.zeros(()), persistent=False)

    def forward(
        self, input: torch.Tensor, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Run over one step, which moves the hidden state, or over trajectories, which does not touch it.

        Args:
            input: One step, [N, input_size]; with ``masks`` padded trajectories, [T, n_traj, input_size].
            masks: [T, n_traj], bool, True where a trajectory has a step.
            hidden_state: State at the first step of every trajectory, [layers, n_traj, hidden]; None for zeros.

        Returns:
            [1, N, hidden], for trajectories [T, N, hidden].
        """
        if masks is not None:
            return unpad_trajectories(self._run(input, hidden_state)[0], masks)
        output, self.hidden_state = self._run(input.unsqueeze(0), self.hidden_state)
        # Autocast returns bfloat16, which the layers do not take back.
        dtype = next(self.rnn.parameters()).dtype
        self.hidden_state = changed_state(self.hidden_state, lambda state: state.to(dtype))
        return output

    def _run(self, input: torch.Tensor, hidden_state: HiddenState) -> tuple[torch.Tensor, HiddenState]:
        """Run torch's layers; many CPUs have no LSTM in bfloat16, so autocast leaves them in full precision there."""
        if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self.rnn(input.float(), hidden_state)
        return self.rnn(input, hidden_state)

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Set the state to zero where ``dones`` [N] is non-zero; without ``dones`` go on with ``hidden_state``.

        Giving both raises ValueError.
        """
        if dones is None:
            self.hidden_state = hidden_state
            return
        if hidden_state is not None:
            raise ValueError("Give either dones or a hidden state to RNN.reset(), not both.")
        if dones.device.type == "cpu" and not dones.any():
            return
        keep = (dones == 0).view(1, -1, 1)
        zero: Any = self._buffers.get("_zero", 0.0)  # Layers that an earlier build pickled have none.
        # Not a product: the state to forget may be NaN.
        self.hidden_state = changed_state(self.hidden_state, lambda state: torch.where(keep, state, zero))

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient history of the hidden state where ``dones`` [N] is non-zero, or everywhere."""
        if dones is None:
            self.hidden_state = changed_state(self.hidden_state, torch.Tensor.detach)
        else:
            cut = (dones != 0).view(1, -1, 1)
            self.hidden_state = changed_state(self.hidden_state, lambda state: torch.where(cut, state.detach(), state))
