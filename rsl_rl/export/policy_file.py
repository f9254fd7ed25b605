# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The file that an export writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from rsl_rl.utils.atomic_files import replaced_when_complete


@contextlib.contextmanager
def policy_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give a temporary file that takes the place of ``path`` when the block ends without an exception.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"'{path}' is a folder: an export needs a file name, e.g. '{Path(path) / 'policy'}'.")
    with contextlib.ExitStack() as stack:
        try:
            partial = stack.enter_context(replaced_when_complete(path))
        except OSError as error:
            reason = error.strerror or str(error)
            # With an errno, Python picks the fitting subclass.
            raise OSError(error.errno, f"Cannot write the exported policy: {reason}", str(path)) from error
        yield partial
