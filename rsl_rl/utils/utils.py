# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Historical import path of the helpers of ``rsl_rl.utils``."""

from rsl_rl.utils import *  # noqa: F403
