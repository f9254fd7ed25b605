# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Optional pieces of an algorithm, behind one small protocol."""

from rsl_rl.extensions.extension import Extension, ExtensionLoss
from rsl_rl.extensions.rnd import RandomNetworkDistillation, resolve_rnd_config
from rsl_rl.extensions.symmetry import Symmetry, resolve_symmetry_config

__all__ = [
    "Extension",
    "ExtensionLoss",
    "RandomNetworkDistillation",
    "Symmetry",
    "resolve_rnd_config",
    "resolve_symmetry_config",
]
