# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Models: observation groups in, actions or values out."""

from rsl_rl.models.cnn_model import CNNModel
from rsl_rl.models.mlp_model import MLPModel
from rsl_rl.models.rnn_model import RNNModel

__all__ = ["CNNModel", "MLPModel", "RNNModel"]
