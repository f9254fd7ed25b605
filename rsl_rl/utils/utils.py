# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Historical import path of the helpers of ``rsl_rl.utils``."""

from typing import Any

from rsl_rl import utils


def __getattr__(name: str) -> Any:
    return getattr(utils, name)
