# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Checkpoint files: written whole or not at all, verified when read, and read without executing anything."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.plain_archive import load_plain
from rsl_rl.utils.recognition import found_instead

# Of the documents written here; they carry it under the key ``format_version``.
_FORMAT_VERSION = 1
# Set to 1, this environment variable lets files execute code while they are read.
_TRUST_VARIABLE = "RSL_RL_TRUST_CHECKPOINTS"
# A checkpoint is a zip archive, whose trailing comment any reader skips: the SHA-256 of all bytes before its digits.
_MARK = b"rsl_rl sha256="
_COMMENT_LENGTH = len(_MARK) + 64
# Exact types: a subclass, an enumeration for example, is an object of a class of its own.
_PLAIN_TYPES = {str, int, float, complex, bool, bytes, bytearray, type(None), torch.Size, torch.dtype, torch.device}
_PLAIN_TYPES |= {torch.Tensor, torch.nn.Parameter}
_ENTRIES = {"processes", "callbacks", "numbers"}
_ENTRIES |= {f"{part}_state_dict" for part in ("actor", "critic", "student", "teacher", "model", "optimizer", "rnd")}


def write_checkpoint(document: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint atomically, with its format version and its SHA-256 inside; missing folders are created.

    Args:
        document: Tensors and plain data. Numbers and arrays of NumPy become numbers and tensors.
        path: Where to write. A file that is there survives until the new one is forced to the disk.

    Raises:
        OSError: The folder cannot be written, or the disk is full.

    Warns:
        UserWarning: It holds other objects, and reading it will be refused.
    """
    buffer, foreign = io.BytesIO(), list[str]()
    plain = _plain(document, "", foreign)
    for each in foreign:
        warnings.warn(
            f"The checkpoint holds {each}, neither a tensor nor plain data: reading it will be refused, since that "
            "would execute code from the file.",
            stacklevel=2,
        )
    torch.save({**plain, "format_version": _FORMAT_VERSION}, buffer)
    # The archive ends with the length of its comment, two bytes, and the comment.
    content = buffer.getvalue()[:-2] + _COMMENT_LENGTH.to_bytes(2, "little") + _MARK
    write_whole(path, content + hashlib.sha256(content).hexdigest().encode())


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint of any release. Only tensors and plain data are accepted: nothing in the file is executed.

    A file with a SHA-256 is verified; those of other releases have none. ``map_location`` as in ``torch.load``.

    Raises:
        FileNotFoundError: There is no such file; names the checkpoints beside it.
        ValueError: The file is not a checkpoint, is damaged, or holds something other than tensors and plain data
            (and the user did not set ``RSL_RL_TRUST_CHECKPOINTS=1``).
    """
    path = Path(path)
    if not path.is_file():
        if path.exists() or path.is_symlink():
            raise FileNotFoundError(f"There is no checkpoint at '{path}': {found_instead(path)}.")
        beside = sorted(file.name for file in path.parent.glob("*.pt") if file.is_file())
        home = " Python does not expand '~': os.path.expanduser does." if path.parts[0][:1] == "~" else ""
        raise FileNotFoundError(
            f"No checkpoint at '{path}'. Checkpoints in that folder: {', '.join(beside) or 'none'}.{home}"
        )
    # Read first and parse then: a disk that fails and a file that is damaged are two different messages.
    content = path.read_bytes()
    is_verified = content[-_COMMENT_LENGTH:-64] == _MARK
    if is_verified and hashlib.sha256(content[:-64]).hexdigest().encode() != content[-64:]:
        raise ValueError(f"'{path}' is damaged: its content does not have the SHA-256 that it was written with.")
    document = _parsed(content, path, map_location)
    if not isinstance(document, dict):
        raise ValueError(f"'{path}' is not a checkpoint: it holds a {type(document).__name__} instead of a dict.")
    # An archive says how long its comment is: 0 in one that was written anew by other means.
    end = content.rfind(b"PK\x05\x06")
    if "format_version" in document and not is_verified and content[end + 20 : end + 22] != b"\0\0":
        raise ValueError(f"'{path}' is damaged: the SHA-256 at its end is missing.")
    version = document.get("format_version", 0)
    if not isinstance(version, int) or version > _FORMAT_VERSION:
        raise ValueError(
            f"'{path}' was written by a newer version of this library (format {version}, this one reads up to "
            f"{_FORMAT_VERSION})."
        )
    _check_entries(document, path)
    return document


@contextlib.contextmanager
def read_from(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let what goes wrong within, while the document of a checkpoint is taken over, name its file; as a ValueError."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        kind, told = TypeError if isinstance(error, TypeError) else ValueError, str(error)
        if not isinstance(error, (ValueError, TypeError)):
            told = f"Its content is not what is written here ({type(error).__name__}: {error})."
        raise kind(told if str(path) in told else f"'{path}' was not loaded. {told}") from error


def nonfinite_in(state: Any, place: str = "") -> list[str]:
    """Return the places in nested mappings and lists of tensors that hold NaN or infinite numbers."""
    if isinstance(state, torch.Tensor):
        return [] if not state.is_floating_point() or state.isfinite().all() else [place]
    items = state.items() if isinstance(state, Mapping) else enumerate(state) if isinstance(state, list) else ()
    return [found for key, item in items for found in nonfinite_in(item, f"{place}.{key}" if place else str(key))]


def _check_entries(document: dict[str, Any], path: Path) -> None:
    """Raise ValueError for an entry of another type than is written; warn of numbers that are not finite."""
    if isinstance(number := document.get("iter", 0), (float, torch.Tensor, np.generic)):
        with contextlib.suppress(ValueError, RuntimeError, OverflowError):
            document["iter"] = int(number) if number == int(number) else number
    if not isinstance(document.get("iter", 0), int) or document.get("iter", 0) < 0:
        raise ValueError(f"'{path}' is damaged: its iteration 'iter' is {document['iter']!r}.")
    for key, value in document.items():
        if key not in _ENTRIES or value is None:
            continue
        kind, named = (list, "list") if key == "processes" else (Mapping, "dict")
        if not isinstance(value, kind):
            raise ValueError(
                f"'{path}' is damaged: its entry '{key}' is a {type(value).__name__} instead of a {named}."
            )
        if key == "numbers" and any(type(item) not in (bool, int, float) for item in dict(value).values()):
            raise ValueError(f"'{path}' is damaged: its entry 'numbers' holds something else: {value}.")
        if key.endswith("_state_dict") and (bad := nonfinite_in(value)):
            shown = ", ".join(bad[:4]) + (" ..." if len(bad) > 4 else "")
            # Always the same place: of several readings of a file the first one is shown.
            warnings.warn(f"'{path}' holds NaN or infinite numbers in {key}: {shown}.", stacklevel=1)


def why_unreadable(value: Any) -> str | None:
    """Return what in a nested value is neither a tensor nor plain data, so that a checkpoint with it cannot be read.

    None where everything is.
    """
    foreign: list[str] = []
    try:
        _plain(value, "", foreign)
    except RecursionError:
        return "it refers to itself"
    return f"{foreign[0]} is neither a tensor nor plain data" if foreign else None


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Return whether a file ends like those that are written here."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _COMMENT_LENGTH))
        return file.read(len(_MARK)) == _MARK


def _plain(value: Any, place: str, foreign: list[str]) -> Any:
    """Return tensors and plain data without NumPy's numbers and arrays; tell ``foreign`` of everything else."""
    if isinstance(value, np.ndarray) and value.ndim:
        try:
            return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))  # a copy
        except TypeError:  # texts or objects
            value = value.tolist()
    elif isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    if type(value) in (dict, OrderedDict):
        return {
            _plain(key, f"{place} (a key)", foreign): _plain(item, f"{place}.{key}" if place else str(key), foreign)
            for key, item in value.items()
        }
    if type(value) in (list, tuple, set):
        return type(value)(_plain(item, f"{place}[{index}]", foreign) for index, item in enumerate(value))
    if type(value) not in _PLAIN_TYPES:
        foreign.append(f"a {type(value).__name__} at '{place}'")
    return value


def _parsed(content: bytes, path: Path, map_location: Any) -> Any:
    other = found_instead(path)
    if other not in (None, "it is a checkpoint", "it is another zip archive", "its end is missing"):
        raise ValueError(f"'{path}' is not a checkpoint: {other}.")
    try:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise ValueError(other or "it is not a zip archive")
        return load_plain(content, map_location)
    except Exception as error:  # a damaged file fails anywhere
        found = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if found is None:
            raise ValueError(f"'{path}' is not a checkpoint, or it is damaged (cut off?): {error}") from error
        if os.environ.get(_TRUST_VARIABLE) != "1":
            raise ValueError(
                f"'{path}' is refused: it holds something other than tensors and plain data ({found[1]}), and reading "
                f"that would execute code from the file. If you trust whoever wrote it: set {_TRUST_VARIABLE}=1."
            ) from error
    try:
        return torch.load(io.BytesIO(content), map_location=map_location, weights_only=False)
    except Exception as error:
        raise ValueError(f"'{path}' cannot be read, although it is trusted: {error!r}") from error
