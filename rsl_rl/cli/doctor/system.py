# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What ``rsl-rl doctor`` looks at without trying it out: versions, devices, packages, the folder."""

from __future__ import annotations

import contextlib
import importlib.metadata
import locale
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import rsl_rl
from rsl_rl.cli.run_folder import RUNS
from rsl_rl.telemetry.provenance import hardware, installed_version, versions
from rsl_rl.utils.atomic_files import write_whole
from rsl_rl.utils.install_lines import INSTALL_LINES

DISTRIBUTION = "rsl-rl-lib"
_EXTRAS = {
    "gymnasium": "envs",
    "mujoco": "envs",
    "envpool": "envpool",
    "matplotlib": "plot",
    "imageio": "video",
    "imageio-ffmpeg": "video",
    "optuna": "sweep",
    "wandb": "wandb",
    "neptune": "neptune",
    "mlflow": "mlflow",
}
# Programs that bring their own way to be installed.
_CLIENTS = ("mjlab", "isaaclab")
_LEAST_FREE_GIB = 2.0


@dataclass(frozen=True)
class Check:
    """What came out of a look."""

    name: str
    status: Literal["ok", "note", "missing", "failed"]
    """missing: optional, and not there. note: works, but may surprise. failed: needed, and does not work."""
    text: str = ""
    hint: str = ""
    """What to do about it."""


def library() -> Iterator[Check]:
    """This library, Python and the system."""
    found = versions()
    yield Check(DISTRIBUTION, "ok", f"{found[DISTRIBUTION]}, in {Path(rsl_rl.__file__).parent}")
    others = set(importlib.metadata.packages_distributions().get("rsl_rl", ())) - {DISTRIBUTION}
    if others:
        names = " ".join(sorted(others))
        yield Check(names, "failed", f"installs a package rsl_rl too, over this one: pip uninstall {names}")
    here = Path.cwd() / "rsl_rl"
    if here.is_dir() and here.resolve() != Path(rsl_rl.__file__).resolve().parent:
        yield Check("folder", "note", f"{here} hides the installed library from 'python -m' and scripts started here")
    virtual = "a virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    yield Check("python", "ok", f"{found['python']}, {virtual}, {sys.executable}")
    yield Check("system", "ok", str(hardware()["os"]))


def requirements() -> Iterator[Check]:
    """What the library needs, in the versions that it asks for."""
    try:
        from packaging.requirements import Requirement

        needed = [Requirement(line) for line in importlib.metadata.requires(DISTRIBUTION) or []]
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        yield Check("requirements", "note", f"the required versions are unknown: {error}")
        return
    tested = _tested_versions()
    for requirement in needed:
        if requirement.marker is not None:
            continue  # Of an extra.
        version = installed_version(requirement.name)
        if version is None:
            yield Check(requirement.name, "failed", "is not installed", f'pip install "{requirement}"')
        elif not requirement.specifier.contains(version, prereleases=True):
            yield Check(requirement.name, "failed", f"{version}, but {requirement.specifier} is needed")
        else:
            yield Check(requirement.name, "ok", version + _unlike(tested.get(requirement.name.lower()), version))


def optional_packages() -> Iterator[Check]:
    """What more can be installed."""
    tested = _tested_versions()
    for name, extra in _EXTRAS.items():
        version = installed_version(name)
        if version is not None:
            yield Check(name, "ok", version + _unlike(tested.get(name), version))
        elif name == "envpool" and sys.version_info < (3, 11):
            yield Check(name, "missing", "its wheels start at Python 3.11")
        else:
            yield Check(name, "missing", "", INSTALL_LINES[extra])
    for name in _CLIENTS:
        version = installed_version(name)
        yield Check(name, "ok", version) if version else Check(name, "missing", "only for its own tasks")


def devices() -> Iterator[Check]:
    """The processor, memory, and every GPU."""
    import torch

    from rsl_rl.distributed.start import available_backends

    found = hardware()
    yield Check("cpu", "ok", f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB of memory")
    backends = ", ".join(available_backends()) or "no way to let them talk"
    yield Check("processes", "ok", f"torch was built with {backends}")
    build = f"torch {torch.__version__}, built for " + (f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPUs")
    driver = nvidia_driver()
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            memory = f"{properties.total_memory / 2**30:.1f} GiB"
            capability = f"compute capability {properties.major}.{properties.minor}"
            known = f"driver {driver}, " if driver else ""
            yield Check(f"cuda:{index}", "ok", f"{properties.name}, {memory}, {capability}, {known}{build}")
    elif driver is None:
        yield Check("gpu", "missing", f"no NVIDIA driver here; training runs on the CPU ({build})")
    elif torch.version.cuda is None:
        hint = "install torch as https://pytorch.org/get-started says for CUDA"
        yield Check("gpu", "missing", f"there is a driver {driver}, but {build}", hint)
    else:
        hint = "a newer driver, or torch for an older CUDA: https://pytorch.org/get-started"
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is not None:
            hint = f"CUDA_VISIBLE_DEVICES is '{hidden}'; else {hint}"
        yield Check("gpu", "missing", f"there is a driver {driver}, but torch finds no GPU ({build})", hint)


def folder() -> Iterator[Check]:
    """Where runs are kept, and what text files are written in."""
    place = RUNS if RUNS.is_dir() else Path()
    try:
        with tempfile.TemporaryDirectory(dir=place) as trial:
            write_whole(Path(trial) / "file", "whole")
    except OSError as error:
        yield Check("runs", "failed", f"{place.resolve()} cannot be written: {error}", "go to another folder")
        return
    free = shutil.disk_usage(place).free / 2**30
    text = f"{place.resolve()} can be written, {free:.1f} GiB are free"
    yield Check("runs", "ok", text) if free > _LEAST_FREE_GIB else Check("runs", "note", text, "make room")
    kind = file_system(place)
    if kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs")):
        hint = "keep sweeps on a local disk, or in a database: rsl-rl sweep --storage"
        yield Check("file system", "note", f"{kind}: locks of SQLite are not safe on it", hint)
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") == "utf8":
        yield Check("text", "ok", encoding)
    else:
        yield Check("text", "note", f"files of other programs are read as {encoding}", "export PYTHONUTF8=1")


def file_system(path: Path) -> str:
    """Return the kind of a folder's file system, or nothing where the system does not say."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    there = str(path.resolve())
    within = [(point, kind) for point, kind in mounts if there == point or there.startswith(point.rstrip("/") + "/")]
    return max(within, key=lambda mount: len(mount[0]), default=("", ""))[1]


def nvidia_driver() -> str | None:
    """Return the version of the NVIDIA driver, None where there is none."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.split()[0]
    try:
        words = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").split()
    except OSError:
        return None
    return next((word for word in words if word[0].isdigit() and "." in word), "of unknown version")


def _unlike(tested: str | None, version: str) -> str:
    return "" if tested in (None, version.partition("+")[0]) else f" (tested with {tested})"


def _tested_versions() -> dict[str, str]:
    """Return the versions that everything is tested with, where the library's sources are at hand."""
    try:
        from packaging.requirements import Requirement

        lines = (Path(rsl_rl.__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    except (ImportError, OSError):
        return {}
    pins = [Requirement(line) for line in lines if "==" in line and not line.startswith("#")]
    return {
        pin.name.lower(): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }
