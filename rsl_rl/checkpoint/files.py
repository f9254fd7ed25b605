# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoint files: written whole or not at all, read without executing anything."""

from __future__ import annotations

import io
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from rsl_rl.utils.files import replaced_when_complete


def write_checkpoint(document: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint atomically.

    A temporary file in the same folder is written, forced to the disk and renamed; a file that was there before
    survives until that moment. Missing folders are created.

    Args:
        document: Tensors and plain data.
        path: Where to write.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    with replaced_when_complete(path) as partial:
        torch.save(document, partial)


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint of any release. Only tensors and plain data are accepted: nothing in the file is executed.

    Args:
        path: The file.
        map_location: Where to put the tensors, as in ``torch.load``.

    Raises:
        FileNotFoundError: There is no such file; names the checkpoints beside it.
        ValueError: The file is not a checkpoint, is damaged, or holds something other than tensors and plain data.
    """
    path = Path(path)
    if not path.is_file():
        beside = sorted(file.name for file in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        raise FileNotFoundError(
            f"No checkpoint at '{path}'. Checkpoints in that folder: {', '.join(beside) or 'none'}."
        )
    # Read first and parse then: a disk that fails and a file that is damaged are two different messages.
    content = io.BytesIO(path.read_bytes())
    if not zipfile.is_zipfile(content):
        raise ValueError(f"'{path}' is not a checkpoint, or it is damaged (cut off?).")
    content.seek(0)
    try:
        document = torch.load(content, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"'{path}' is refused: it holds something other than tensors and plain data"
            f"{f' ({found[1]})' if found else ''}, and reading that would execute code from the file."
        ) from error
    except Exception as error:  # a damaged file fails anywhere inside torch.load
        raise ValueError(f"'{path}' is not a checkpoint, or it is damaged (cut off?): {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"'{path}' is not a checkpoint: it holds a {type(document).__name__} instead of a dict.")
    return document
