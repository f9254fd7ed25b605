# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Runners: the training loop."""

from rsl_rl.runners.callbacks import Callback
from rsl_rl.runners.distillation_runner import DistillationRunner
from rsl_rl.runners.on_policy_runner import OnPolicyRunner

__all__ = ["Callback", "DistillationRunner", "OnPolicyRunner"]
