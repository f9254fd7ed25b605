# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoints."""

from rsl_rl.checkpoint.checkpoint_file import is_plain, read_checkpoint, write_checkpoint
from rsl_rl.checkpoint.checkpoint_folder import (
    BEST,
    EVALUATED_RETURN,
    LATEST,
    TRAINING_REWARD,
    CheckpointFolder,
    newest_checkpoint,
    numbered_checkpoints,
)
from rsl_rl.checkpoint.folder_lock import FolderInUseError, locked
from rsl_rl.checkpoint.random_state import random_state, restore_random_state

__all__ = [
    "BEST",
    "EVALUATED_RETURN",
    "LATEST",
    "TRAINING_REWARD",
    "CheckpointFolder",
    "FolderInUseError",
    "is_plain",
    "locked",
    "newest_checkpoint",
    "numbered_checkpoints",
    "random_state",
    "read_checkpoint",
    "restore_random_state",
    "write_checkpoint",
]
