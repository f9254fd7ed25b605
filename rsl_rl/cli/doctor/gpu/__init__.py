# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl doctor --gpu``: what a GPU has to show, and how fast it is."""
