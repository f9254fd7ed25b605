# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent policies as modules for export.

TorchScript keeps the hidden state inside, as controllers in the field expect; ONNX and pt2 take and return it.
"""

from typing import Any, Final, Optional

import torch
from torch import nn

from rsl_rl.export.frozen import frozen_copy
from rsl_rl.export.inference import ForOnnx, TorchPolicy


class _Core(nn.Module):
    """One step of an LSTM or GRU that remembers; the state follows the batch size. A GRU leaves ``c`` alone."""

    h: torch.Tensor
    c: torch.Tensor
    is_lstm: Final[bool]  # TorchScript compiles only the branch that is taken.

    def __init__(self, rnn: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.rnn = rnn
        self.is_lstm = isinstance(rnn, nn.LSTM)
        self.register_buffer("h", torch.zeros(rnn.num_layers, 1, rnn.hidden_size))
        self.register_buffer("c", torch.zeros_like(self.h))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.h.shape[1] != x.shape[0]:
            self.h = torch.zeros(self.h.shape[0], x.shape[0], self.h.shape[2], device=x.device)
            self.c = torch.zeros_like(self.h)
        if self.is_lstm:
            output, (self.h, self.c) = self.rnn(x.unsqueeze(0), (self.h, self.c))
        else:
            output, self.h = self.rnn(x.unsqueeze(0), self.h)
        return output.squeeze(0)

    @torch.jit.export
    def reset(self) -> None:
        self.h = torch.zeros_like(self.h)
        self.c = torch.zeros_like(self.c)


class RecurrentTorchPolicy(TorchPolicy):
    """Normalizer, recurrent network, head and output transform; it remembers from call to call."""

    def __init__(self, model: Any) -> None:
        """Copy what inference needs out of ``model``; the hidden state starts empty."""
        super().__init__(model)
        self.core = _Core(_frozen_rnn(model))
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


class RecurrentOnnxPolicy(ForOnnx, TorchPolicy):
    """The same policy with the hidden state as inputs and outputs, and what an exporter has to know."""

    def __init__(self, model: Any, verbose: bool = False) -> None:
        """Copy what inference needs out of ``model``."""
        super().__init__(model)
        self.rnn = _frozen_rnn(model)
        self.rnn_type = "lstm" if isinstance(self.rnn, nn.LSTM) else "gru"
        parts = ("h", "c") if self.rnn_type == "lstm" else ("h",)
        state = torch.zeros(self.rnn.num_layers, 1, self.rnn.hidden_size, device="cpu")
        examples = {"obs": torch.zeros(1, int(model.obs_dim), device="cpu"), **{f"{part}_in": state for part in parts}}
        self._describe(model, verbose, examples, ["actions", *(f"{part}_out" for part in parts)])
        self.batch_dims = [0] + [1] * len(parts)
        """The dimension of every input that counts the batch."""
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


def _frozen_rnn(model: Any) -> Any:
    rnn = frozen_copy(model.rnn.rnn)
    rnn.flatten_parameters()
    return rnn
