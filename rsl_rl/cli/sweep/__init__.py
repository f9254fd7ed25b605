# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl sweep``: the command in ``sweep_command.py``, its parts beside it."""
