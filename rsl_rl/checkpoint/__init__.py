# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints."""

from rsl_rl.checkpoint.files import read_checkpoint, write_checkpoint
from rsl_rl.checkpoint.legacy import layout_of, modernize

__all__ = ["layout_of", "modernize", "read_checkpoint", "write_checkpoint"]
