# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent model: observation groups -> normalization -> LSTM or GRU -> MLP -> output or distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import nn

from rsl_rl.compat.names import names_of
from rsl_rl.export.inference import RecurrentOnnxPolicy, RecurrentTorchPolicy
from rsl_rl.models.mlp_model import MLPModel, Observations
from rsl_rl.modules import RNN, HiddenState
from rsl_rl.utils import takes_plain_options
from rsl_rl.utils.ranges import Count


class RNNModel(MLPModel):
    """A recurrent network over the concatenated 1D observation groups of one observation set, before the head.

    It keeps one hidden state per environment while it acts, and runs over whole trajectories in the update.
    """

    is_recurrent: bool = True

    @takes_plain_options
    def __init__(
        self,
        obs: TensorDict,
        obs_groups: dict[str, list[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = (256, 256, 256),
        activation: str = "elu",
        obs_normalization: bool = False,
        distribution_cfg: dict[str, Any] | None = None,
        rnn_type: str = "lstm",
        rnn_hidden_dim: Count = 256,
        rnn_num_layers: Count = 1,
    ) -> None:
        """Build the model; arguments that are not listed are those of :class:`MLPModel`.

        Args:
            rnn_type: lstm or gru.
            rnn_hidden_dim: Size of each layer's hidden state.
            rnn_num_layers: Number of recurrent layers.
        """
        self.rnn_hidden_dim = rnn_hidden_dim
        super().__init__(
            obs, obs_groups, obs_set, output_dim, hidden_dims, activation, obs_normalization, distribution_cfg
        )
        self.rnn = RNN(self.obs_dim, rnn_hidden_dim, rnn_num_layers, rnn_type)

    def get_latent(
        self, obs: Observations, masks: torch.Tensor | None = None, hidden_state: HiddenState = None
    ) -> torch.Tensor:
        """Return the output of the recurrent network, [N, hidden]; one step moves the hidden state.

        With ``masks`` [T, n_traj] the groups are padded trajectories [T, n_traj, d] that begin with ``hidden_state``,
        [layers, n_traj, hidden], and the output is [T, N, hidden].
        """
        latent = self.rnn(super().get_latent(obs), masks, hidden_state)
        return latent.squeeze(0) if masks is None else latent

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:  # noqa: D102
        self.rnn.reset(dones, hidden_state)

    def get_hidden_state(self) -> HiddenState:  # noqa: D102
        return self.rnn.hidden_state

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:  # noqa: D102
        self.rnn.detach_hidden_state(dones)

    def as_jit(self) -> nn.Module:
        """Return the deterministic policy for TorchScript: ``forward(obs [1, obs_dim])`` remembers, ``reset()``."""
        return RecurrentTorchPolicy(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return the deterministic policy for ONNX, with the hidden state as further inputs and outputs."""
        return RecurrentOnnxPolicy(self, verbose)

    def _get_latent_dim(self) -> int:
        return self.rnn_hidden_dim


__getattr__ = names_of(__name__)
