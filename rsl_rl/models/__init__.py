# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Models: from observation groups to actions or values."""

from rsl_rl.models.mlp_model import MLPModel

__all__ = ["MLPModel"]
