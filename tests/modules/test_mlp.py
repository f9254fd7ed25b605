# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The multi-layer perceptron."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rsl_rl.modules import MLP
from rsl_rl.utils import resolve_nn_activation


def test_linear_layers_stand_at_even_indices() -> None:
    mlp = MLP(5, 3, [8, -1], "tanh", last_activation="sigmoid")
    assert [(type(layer).__name__) for layer in mlp] == ["Linear", "Tanh", "Linear", "Tanh", "Linear", "Sigmoid"]
    assert [tuple(layer.weight.shape) for layer in mlp if isinstance(layer, nn.Linear)] == [(8, 5), (5, 8), (3, 5)]
    assert list(mlp.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]


def test_output_with_several_dimensions_is_unflattened() -> None:
    assert MLP(5, [2, 3], [8])(torch.zeros(7, 5)).shape == (7, 2, 3)


def test_no_hidden_layer_is_a_linear_map() -> None:
    mlp = MLP(2, 1, [])
    with torch.no_grad():
        mlp[0].weight.copy_(torch.tensor([[2.0, 3.0]]))
        mlp[0].bias.fill_(1.0)
    assert mlp(torch.tensor([[10.0, 100.0]])).item() == 321.0


def test_orthogonal_initialization() -> None:
    mlp = MLP(6, 4, [6])
    mlp.init_weights([2.0, 0.5])
    first, last = mlp[0], mlp[2]
    torch.testing.assert_close(first.weight @ first.weight.T, 4.0 * torch.eye(6))
    torch.testing.assert_close(last.weight @ last.weight.T, 0.25 * torch.eye(4))
    assert not first.bias.any()
    assert not last.bias.any()


def test_activation_names() -> None:
    at_minus_1 = {"elu": -0.63212, "selu": -1.11133, "relu": 0.0, "crelu": -0.63212, "lrelu": -0.01, "tanh": -0.76159}
    at_minus_1 |= {"sigmoid": 0.26894, "softplus": 0.31326, "gelu": -0.15866, "swish": -0.26894, "mish": -0.30340}
    at_minus_1 |= {"identity": -1.0, "ELU": -0.63212}
    for name, expected in at_minus_1.items():
        assert resolve_nn_activation(name)(torch.tensor(-1.0)).item() == pytest.approx(expected, abs=1e-4), name


def test_unknown_activation_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"Unknown activation 'rellu'. Did you mean 'relu'.*Valid: elu, selu, relu"):
        MLP(2, 1, [4], "rellu")


def test_width_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive widths"):
        MLP(2, 1, [0])
