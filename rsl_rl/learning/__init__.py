# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The engine room: one gradient step for every algorithm, and what makes it fast."""

from rsl_rl.learning.optimizer import Optimizer
from rsl_rl.learning.step import GradientStep

__all__ = ["GradientStep", "Optimizer"]
