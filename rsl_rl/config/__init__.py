# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configuration: every key as a typed field, checked once, never changed."""

from rsl_rl.config.options import (
    check_kind,
    check_options,
    check_type,
    checked_algorithm,
    resolve_runner_config,
    takes_option,
)
from rsl_rl.config.schema import (
    GaussianDistributionConfig,
    MLPModelConfig,
    PPOConfig,
    RunnerConfig,
)

__all__ = [
    "GaussianDistributionConfig",
    "MLPModelConfig",
    "PPOConfig",
    "RunnerConfig",
    "check_kind",
    "check_options",
    "check_type",
    "checked_algorithm",
    "resolve_runner_config",
    "takes_option",
]
