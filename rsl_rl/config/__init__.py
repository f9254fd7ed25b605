# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configuration: every key as a typed field, checked once, never changed."""

# pyright: reportUnsupportedDunderAll=false
# Some names are derived when they are first asked for.

from rsl_rl.config.options import (
    check_options,
    check_type,
    checked_algorithm,
    plain_config,
    resolve_runner_config,
    takes_option,
)
from rsl_rl.config.schema import RunnerConfig
from rsl_rl.config.schema import __getattr__ as __getattr__

__all__ = [
    "GaussianDistributionConfig",
    "MLPModelConfig",
    "PPOConfig",
    "RunnerConfig",
    "check_options",
    "check_type",
    "checked_algorithm",
    "plain_config",
    "resolve_runner_config",
    "takes_option",
]
