# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What exists only for older programs: layouts of configurations, checkpoints and environments of earlier releases."""
