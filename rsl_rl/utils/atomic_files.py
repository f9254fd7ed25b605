# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced_when_complete(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the name of a temporary file that takes the place of ``path`` when the block ends without an exception.

    The temporary file lies in the same folder (made if missing), is forced to the disk and then renamed, so that
    whoever reads ``path`` sees the old content or the new one, also after a kill or a power cut.

    Raises:
        OSError: The folder cannot be written, or the disk is full; the old file is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".rsl_rl.{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        partial.touch(exist_ok=False)
        yield str(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(partial)):
            error.filename = str(path)  # A full disk has no name of its own, and nobody knows the temporary one.
        raise
    # Without this a power cut can undo the rename; some file systems do not offer it.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file as :func:`replaced_when_complete` does, text as UTF-8."""
    with replaced_when_complete(path) as partial:
        Path(partial).write_bytes(content.encode() if isinstance(content, str) else content)


@functools.cache
def rescue_folder(folder: Path) -> str:
    """Make a temporary folder for what cannot be written to a run's ``folder``, the same one for all of it."""
    return tempfile.mkdtemp(prefix="rsl_rl_rescue_")


def remove_partial_files(folder: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while writing left in a folder, if there is such a folder."""
    for file in Path(folder).glob(".rsl_rl.*.partial*"):
        with contextlib.suppress(OSError):
            file.unlink()
