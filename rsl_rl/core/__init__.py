# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The arithmetic of the algorithms: pure functions of tensors."""

from rsl_rl.core.gae import generalized_advantages, normalized
from rsl_rl.core.losses import surrogate_loss, value_loss
from rsl_rl.core.schedules import adapt_learning_rate

__all__ = ["adapt_learning_rate", "generalized_advantages", "normalized", "surrogate_loss", "value_loss"]
