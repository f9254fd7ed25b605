# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a file is that is not what its name says."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from rsl_rl.utils.limits import parse_json, read_limited

_BEGINNINGS = (
    (rb"version https://git-lfs\.", "it is a pointer of Git LFS: fetch the file itself with 'git lfs pull'"),
    (rb"\s*<(!doctype html|html|head)", "it is a web page, such as one that asks to log in: download the file itself"),
    (rb"\s*<\?xml", "it is an XML text, such as a server's message: download the file itself"),
    (rb"\0+$", "it consists of zeros: it was never written to its end"),
    (rb"\x1f\x8b", "it is packed by gzip: unpack it first"),
    (rb"(ustar|.{257}ustar)", "it is a tar archive: unpack it first"),
    (rb"\x80[\x02-\x05]", "it is a pickle, which this library does not read"),
)


def found_instead(path: str | os.PathLike[str]) -> str | None:
    """Return what a file is by its content, where that explains why it cannot be read; None where it does not."""
    path = Path(path)
    if path.is_dir():
        return "it is a folder"
    if path.is_symlink() and not path.exists():
        return f"it is a link to '{os.readlink(path)}', which does not exist"
    if path.exists() and not path.is_file():
        return "it is neither a file nor a folder"
    try:
        with path.open("rb") as file:
            begin = file.read(4096)
        if not begin:
            return "it is empty"
        for pattern, meaning in _BEGINNINGS:
            if re.match(pattern, begin, re.IGNORECASE | re.DOTALL):
                return meaning
        if not begin.startswith(b"PK"):
            return "it is plain text" if _is_text(begin) else None
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "its end is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except Exception:  # The reader of archives trips over damage in many ways.
        return "its table of contents is damaged"
    if any("/code/" in name for name in names):
        return "it is an exported policy (TorchScript)"
    if any("/models/" in name or name == "serialized_exported_program.json" for name in names):  # the second: torch 2.6
        return "it is an exported policy (torch.export)"
    return "it is a checkpoint" if any(name.endswith("/data.pkl") for name in names) else "it is another zip archive"


def why_not_text(path: str | os.PathLike[str], otherwise: object = "") -> str:
    """Return what a file is by its content instead of text that could be read; ``otherwise`` where it is text."""
    other = found_instead(path)
    return str(otherwise) if other in (None, "it is plain text") else other


def read_json(path: str | os.PathLike[str], kind: type) -> Any:
    """Return what a file holds as JSON, of a kind such as dict; None if it is missing, or damaged, which is said."""
    try:
        document = parse_json(read_limited(path))
        if isinstance(document, kind):
            return document
        reason: object = f"it holds a {type(document).__name__} instead of a {kind.__name__}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error
    warnings.warn(f"'{path}' cannot be read and is left out: {why_not_text(path, reason)}.", stacklevel=3)
    return None


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        text = content[: error.start].decode() if error.start > len(content) - 4 else "\0"  # the last one may be cut
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()
