# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Pure functions of tensors that algorithms share."""

from rsl_rl.core.gae import clamped, generalized_advantages, larger, normalized

__all__ = ["clamped", "generalized_advantages", "larger", "normalized"]
