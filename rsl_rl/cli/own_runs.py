# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Whose run is it? Code outside the library that a stranger's run names is executed only on the user's word.

A file that this user's command line wrote ends with a seal: an HMAC of everything before it, made with a key that lies
in the user's own state folder and never leaves it. A stranger cannot make one, and one that was changed fits no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from rsl_rl.telemetry.history import EVENTS
from rsl_rl.telemetry.metrics_csv import FILE_NAME
from rsl_rl.telemetry.provenance import STARTS
from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.limits import read_limited
from rsl_rl.utils.trust import foreign_names, never_import_from
from rsl_rl.utils.yaml_text import parse_yaml_text

_MARK = "# Written by rsl-rl on this machine; a change below or above makes it ask before it imports code: "
_KEY_BYTES = 32
_OF_A_RUN = ("model_*.pt", FILE_NAME, EVENTS, STARTS, "exports/policy.*", "study.db", "logs/trial_*.txt")
_OURS = ("config.yaml", "sweep.yaml")


def write_own(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of a run or a sweep that this user makes, with a seal where a key can be kept."""
    seal = _seal(text, make_key=True)
    if seal is None and foreign_names(parse_yaml_text(text)):
        warnings.warn(
            f"'{path}' cannot be marked as your own, since nothing can be written to '{_state_folder()}': commands "
            "that use it will need --trust. Set XDG_STATE_HOME to a folder of yours.",
            stacklevel=2,
        )
    write_whole(path, text if seal is None else f"{text}{_MARK}{seal}\n")


def without_seal(text: str) -> str:
    """Return what :func:`write_own` was given, by what the file holds."""
    content, mark, _ = text.rpartition(_MARK)
    return content if mark else text


def is_own(text: str) -> bool:
    """Return whether this user's command line wrote a text and nobody has changed it since."""
    content, mark, seal = text.rpartition(_MARK)
    expected = _seal(content, make_key=False)
    return bool(mark) and expected is not None and hmac.compare_digest(seal.strip().encode(), expected.encode())


def check_stranger(trust: bool, path: Path, text: str, document: Any, trains: bool = False) -> None:
    """Raise PermissionError for a stranger's run or sweep that leads outside the library, unless it is trusted.

    The user trusts it with ``--trust``, or with a yes at a terminal. ``document`` is what the file's text stands for.
    With ``trains`` it is trained with, and its loggers matter, too.
    """
    found = foreign_names(document, trains)
    if not found or trust or is_own(text):
        return
    effects = [f"imports {entry.module}" if entry.module else "sends or writes data there" for entry in found]
    names = "".join(f"\n  {entry.key}: {entry.name} ({effect})" for entry, effect in zip(found, effects, strict=True))
    said = f"'{path}' was not written by you on this machine, and names code or places outside this library:{names}"
    if not _asks():
        earlier = "" if _MARK in text else " Runs of your own from earlier builds need it as well: they have no seal."
        raise PermissionError(f"{said}\nNothing was imported. If you trust all of that, add --trust.{earlier}")
    print(f"{said}\nIs all of that to be used? Code is executed. [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise PermissionError("Nothing was imported.")


def check_given(trust: bool, path: Path, text: str, document: Any) -> None:
    """Do the same for a file that the user has named, unless it lies outside of runs and sweeps: it is the user's."""
    folder = path.resolve().parent
    places = [place for place in (folder, folder.parent) if any(any(place.glob(pattern)) for pattern in _OF_A_RUN)]
    for place in places:
        if any((place / name).is_file() for name in _OURS):
            never_import_from(place)
    if places or (path.name in _OURS and folder != Path.cwd()):
        check_stranger(trust, path, text, document, trains=True)


def check_links(folder: Path) -> None:
    """Raise ValueError for a link out of the folder of a stranger's run: what is written there would land elsewhere.

    Checkpoints and policies may be links: they are read with weights only, and replaced when they are written.
    """
    with contextlib.suppress(OSError, ValueError):
        if is_own(read_limited(folder / _OURS[0])):
            return
    inside = folder.resolve()
    for entry in (*folder.iterdir(), *folder.glob("*/*")):
        if entry.is_symlink() and entry.suffix not in (".pt", ".pt2", ".onnx"):
            target = entry.resolve()
            if not target.is_relative_to(inside):
                raise ValueError(f"'{entry}' leads out of the folder of the run, to '{target}': remove that link.")


def _asks() -> bool:
    """Return whether there is somebody to ask, who started just this process."""
    is_alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return is_alone and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _seal(text: str, make_key: bool) -> str | None:
    key = _key(make_key)
    return None if key is None else hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes | None:
    """Return this user's key; None where there is none, and none is wanted or can be kept."""
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: nobody knows where the user is at home
        path = _state_folder() / "key"
        if make and (not path.exists() or path.stat().st_size != _KEY_BYTES):
            _make_key(path)
        is_mine = not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()
        key = path.read_bytes()
        return key if is_mine and len(key) == _KEY_BYTES else None
    return None


def _make_key(path: Path) -> None:
    """Write a key that is there whole or not at all: of several processes the first one's is everybody's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size != _KEY_BYTES:  # a full disk, or a kill, of an earlier build
            path.unlink()
    # Made by mkstemp for this user alone.
    number, partial = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        os.unlink(partial)


def _state_folder() -> Path:
    named = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(named or os.path.expanduser("~/.local/state")) / "rsl_rl"
