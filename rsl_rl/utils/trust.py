# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What a configuration may name without being code of somebody else's, and from where nothing is ever imported."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from rsl_rl.utils import resolve

# Keys whose text is resolved to a class or a function, wherever they stand.
_CODE_KEYS = re.compile(r"class_name$|_(func|fn|function)$|^(optimizer|logger)$")
_ENVIRONMENT_KEYS = ("env", "task")
# Writers that send what a run is, with the state of the user's code, to a server.
_SENDING = re.compile(r"(mlflow|wandb|neptune)(LogWriter)?", re.IGNORECASE)
# Keys of where a writer, or a sweep's database, puts what it is given.
_PLACES = ("log_dir", "storage")
# Keys that hold prose or plain names, which may look like the name of a function.
_TEXT_KEYS = ("name", "description", "expected", "run_name", "device")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# Packages of this library with classes that a configuration names; their functions take other functions by name.
_PACKAGES = ("algorithms", "extensions", "models", "modules", "runners", "storage")
_MIRRORS = "rsl_rl.extensions.mirrors"
# Gymnasium's own environments that make one of another program, named in their options.
_GYM_BRIDGES = ("GymV21Environment", "GymV26Environment")


class Foreign(NamedTuple):
    """A name in a configuration that leads outside this library, Gymnasium and EnvPool."""

    key: str
    """Place in the file, for example ``"runner.actor.class_name"``."""
    name: str
    module: str
    """What is imported for it; empty where training would only send or write something elsewhere."""


def foreign_names(document: Any, trains: bool = False) -> list[Foreign]:
    """Return every name in a task, a runner's configuration or a sweep that leads outside; nothing is imported.

    With ``trains`` these are also the services that a training would send its data and the state of the user's code to,
    and the folders and databases to write to.

    Inside are the classes of this library, those of ``torch.nn`` and ``torch.optim``, and the environments of Gymnasium
    and EnvPool. Gymnasium imports the module before the colon of an ID such as ``my_module:Env-v0``: that is outside.
    """
    found = _foreign(document, "", "")
    return [entry for entry in found if entry.module or trains]


def _foreign(value: Any, place: str, key: str) -> Iterator[Foreign]:
    if isinstance(value, dict):
        for name, item in value.items():
            # Of a sweep's parameter the choices are values of the parameter; an override has a dotted name.
            inner = key if name == "choices" else str(name).rpartition(".")[2]
            yield from _foreign(item, f"{place}.{name}" if place else str(name), inner)
            if isinstance(name, str) and _FUNCTION.fullmatch(name):
                yield Foreign(f"{place} (a key)", name, name.partition(":")[0])
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _foreign(item, f"{place}[{index}]", key)
    elif isinstance(value, str):
        if module := _foreign_module(value, key):
            yield Foreign(place, value, module)
        elif key in _PLACES or (key in ("logger", "class_name") and _SENDING.fullmatch(value.rpartition(":")[2])):
            yield Foreign(place, value, "")


def _foreign_module(name: str, key: str) -> str | None:
    """Return the module that is imported for a value, None where that is none or lies inside."""
    if key in _ENVIRONMENT_KEYS:
        scheme, _, identifier = name.partition(":")
        if not identifier or scheme == "envpool":
            return None
        if scheme == "mujoco":  # A task of the library has a name, another one a place.
            return identifier.rpartition(":")[0] or None
        if scheme == "gym":
            module, colon, _ = identifier.partition(":")
            return module if colon or identifier.startswith(_GYM_BRIDGES) else None
        return {"mjlab": "mjlab.tasks", "isaaclab": "isaaclab_tasks"}.get(scheme, scheme)
    if key in _TEXT_KEYS or not (_CODE_KEYS.search(key) or _FUNCTION.fullmatch(name)):
        return None
    return None if _is_inside(name) else name.partition(":")[0] if ":" in name else name.rpartition(".")[0]


def _is_inside(name: str) -> bool:
    if not {".", ":"} & set(name):
        return True  # A bare name is looked up in this library only.
    if not re.match(r"(rsl_rl|torch\.nn|torch\.optim)[.:]", name):
        return False
    try:
        found: Any = resolve.resolve_callable(name)
    except (ImportError, AttributeError, TypeError, ValueError):
        return True  # There is no such class, which is said where it is used.
    module = str(getattr(found, "__module__", ""))
    if not isinstance(found, type):
        return module == _MIRRORS
    if module.startswith(("torch.nn.", "torch.optim.")):
        import torch

        return issubclass(found, (torch.nn.Module, torch.optim.Optimizer))
    library, _, package = module.partition(".")
    return library == "rsl_rl" and (package.split(".")[0] in _PACKAGES or found.__name__.endswith("LogWriter"))


class _RunFolders:
    """Refuses imports of files that lie in the folder of a run, first of all finders."""

    def __init__(self) -> None:
        self.folders: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        places = [os.path.realpath(place or os.getcwd()) for place in (sys.path if path is None else path)]
        if not any(_is_below(folder, place) or _is_below(place, folder) for place in places for folder in self.folders):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.has_location and spec.origin is not None:
            self.check(name, spec.origin)
        return None

    def check(self, name: str, origin: str) -> None:
        """Raise ImportError for a file in one of the folders."""
        if any(_is_below(os.path.realpath(origin), folder) for folder in self.folders):
            raise ImportError(
                f"'{name}' is not imported: '{origin}' lies in the folder of a run, and nothing there is executed. "
                "Code of your own belongs beside the folder, not in it.",
                name=name,
            )


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


_run_folders = _RunFolders()


def never_import_from(folder: str | os.PathLike[str]) -> None:
    """Refuse, for the rest of this process, every import of a file in a folder, also where that is on ``sys.path``."""
    _run_folders.folders.add(str(Path(folder).resolve()))
    if _run_folders not in sys.meta_path:
        sys.meta_path.insert(0, _run_folders)  # type: ignore[arg-type]


def check_file(file: str | os.PathLike[str]) -> None:
    """Raise ImportError for a file of code that :func:`never_import_from` refuses."""
    _run_folders.check(Path(file).name, os.fspath(file))
