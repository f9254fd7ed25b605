# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Pure functions of tensors that algorithms share."""

from rsl_rl.core.bounds import clamped, larger
from rsl_rl.core.gae import generalized_advantages, normalized

__all__ = ["clamped", "generalized_advantages", "larger", "normalized"]
