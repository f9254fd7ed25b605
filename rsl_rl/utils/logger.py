# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Historical import path of the logger."""

from rsl_rl.compat.names import names_of
from rsl_rl.telemetry.logger import Logger as Logger

__getattr__ = names_of(__name__)
