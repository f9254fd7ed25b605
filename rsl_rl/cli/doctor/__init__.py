# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl doctor``: the command in ``doctor_command.py``, its parts beside it."""
