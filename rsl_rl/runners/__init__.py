# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Runners: the training loops."""

from rsl_rl.runners.on_policy_runner import OnPolicyRunner

__all__ = ["OnPolicyRunner"]
