# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent policies as modules for export.

TorchScript keeps the hidden state inside, as controllers in the field expect; ONNX and pt2 take and return it.
"""

from typing import Any, Optional

import torch
from torch import nn

from rsl_rl.export.frozen import frozen_copy
from rsl_rl.export.inference import TorchPolicy


class _LstmCore(nn.Module):
    """One step of an LSTM that remembers; the state follows the batch size."""

    h: torch.Tensor
    c: torch.Tensor

    def __init__(self, rnn: nn.LSTM) -> None:
        super().__init__()
        self.rnn = rnn
        self.register_buffer("h", torch.zeros(rnn.num_layers, 1, rnn.hidden_size))
        self.register_buffer("c", torch.zeros(rnn.num_layers, 1, rnn.hidden_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.h.shape[1] != x.shape[0]:
            self.h = torch.zeros(self.h.shape[0], x.shape[0], self.h.shape[2], device=x.device)
            self.c = torch.zeros_like(self.h)
        output, (self.h, self.c) = self.rnn(x.unsqueeze(0), (self.h, self.c))
        return output.squeeze(0)

    @torch.jit.export
    def reset(self) -> None:
        self.h = torch.zeros_like(self.h)
        self.c = torch.zeros_like(self.c)


class _GruCore(nn.Module):
    """One step of a GRU that remembers; the state follows the batch size."""

    h: torch.Tensor

    def __init__(self, rnn: nn.GRU) -> None:
        super().__init__()
        self.rnn = rnn
        self.register_buffer("h", torch.zeros(rnn.num_layers, 1, rnn.hidden_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.h.shape[1] != x.shape[0]:
            self.h = torch.zeros(self.h.shape[0], x.shape[0], self.h.shape[2], device=x.device)
        output, self.h = self.rnn(x.unsqueeze(0), self.h)
        return output.squeeze(0)

    @torch.jit.export
    def reset(self) -> None:
        self.h = torch.zeros_like(self.h)


class RecurrentTorchPolicy(TorchPolicy):
    """Normalizer, recurrent network, head and output transform; it remembers from call to call."""

    def __init__(self, model: Any) -> None:
        """Copy what inference needs out of ``model``; the hidden state starts empty."""
        super().__init__(model)
        rnn = _frozen_rnn(model)
        self.core = _LstmCore(rnn) if isinstance(rnn, nn.LSTM) else _GruCore(rnn)
        self.eval()

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the actions [B, A] for the concatenated observation [B, obs_dim] of the next step.

        Another batch size than that of the step before starts anew.
        """
        return self.output(self.mlp(self.core(self.obs_normalizer(obs))))

    @torch.jit.export
    def reset(self) -> None:
        """Start a new episode."""
        self.core.reset()


class RecurrentOnnxPolicy(TorchPolicy):
    """The same policy with the hidden state as inputs and outputs, and what an exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        self.rnn = _frozen_rnn(model)
        self.verbose = verbose
        self.input_size = int(model.obs_dim)
        self.rnn_type = "lstm" if isinstance(self.rnn, nn.LSTM) else "gru"
        self.eval()

    def forward(  # type: ignore[override] (the hidden state travels with it)
        self,
        obs: torch.Tensor,
        h_in: torch.Tensor,
        c_in: Optional[torch.Tensor] = None,  # noqa: UP045
    ) -> tuple[torch.Tensor, ...]:
        """Return the actions [B, A] and the hidden state after the step, ``h_out`` and for an LSTM ``c_out``.

        Args:
            obs: Concatenated observation, [B, obs_dim].
            h_in: [layers, B, hidden], zeros at the start of an episode.
            c_in: [layers, B, hidden], the cell state of an LSTM.
        """
        x = self.obs_normalizer(obs).unsqueeze(0)
        if c_in is None:
            x, state = self.rnn(x, h_in)
            states: tuple[torch.Tensor, ...] = (state,)
        else:
            x, states = self.rnn(x, (h_in, c_in))
        return self.output(self.mlp(x.squeeze(0))), *states

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs, batch size 1."""
        state = torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size, device="cpu")
        return (torch.zeros(1, self.input_size, device="cpu"), *[state.clone() for _ in self.input_names[1:]])

    @property
    def batch_dims(self) -> list[int]:
        """The dimension of every input that counts the batch."""
        return [0] + [1] * (len(self.input_names) - 1)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return ["obs", "h_in", "c_in"] if self.rnn_type == "lstm" else ["obs", "h_in"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions", "h_out", "c_out"] if self.rnn_type == "lstm" else ["actions", "h_out"]


def _frozen_rnn(model: Any) -> Any:
    rnn = frozen_copy(model.rnn.rnn)
    rnn.flatten_parameters()
    return rnn
