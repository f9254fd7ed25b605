# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl bench``: the command in ``bench_command.py``, its parts beside it."""
