# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The training loop of a student that learns from a teacher."""

from __future__ import annotations

from rsl_rl.algorithms import Distillation
from rsl_rl.runners.on_policy_runner import OnPolicyRunner


class DistillationRunner(OnPolicyRunner):
    """Trains a student on its own rollouts to act like a teacher, as :class:`OnPolicyRunner` can, too."""

    alg: Distillation  # pyright: ignore[reportIncompatibleVariableOverride] (a runner never replaces its algorithm)
