# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Robots in plain MuJoCo, without torch and without the rest of this library; each is a file that can be copied."""
