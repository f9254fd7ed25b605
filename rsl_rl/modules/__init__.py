# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Building blocks of models, each usable alone."""

from rsl_rl.modules.cnn import CNN
from rsl_rl.modules.distribution import (
    BetaDistribution,
    Distribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)
from rsl_rl.modules.distribution_values import DiagGaussian, ScaledBeta
from rsl_rl.modules.mlp import MLP
from rsl_rl.modules.normalization import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rsl_rl.modules.rnn import RNN, HiddenState, as_hidden_state, changed_state

__all__ = [
    "CNN",
    "MLP",
    "RNN",
    "BetaDistribution",
    "DiagGaussian",
    "Distribution",
    "EmpiricalDiscountedVariationNormalization",
    "EmpiricalNormalization",
    "GaussianDistribution",
    "HeteroscedasticGaussianDistribution",
    "HiddenState",
    "ScaledBeta",
    "as_hidden_state",
    "changed_state",
]
