# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Historical import path of the base class of log writers."""

from rsl_rl.telemetry import LogWriter as LogWriter
