# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Building blocks of models, each usable alone."""

from rsl_rl.modules.distribution import DiagGaussian, Distribution, GaussianDistribution
from rsl_rl.modules.mlp import MLP
from rsl_rl.modules.normalization import EmpiricalNormalization
from rsl_rl.modules.rnn import HiddenState

__all__ = ["MLP", "DiagGaussian", "Distribution", "EmpiricalNormalization", "GaussianDistribution", "HiddenState"]
