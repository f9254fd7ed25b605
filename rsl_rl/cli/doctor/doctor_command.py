# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``rsl-rl doctor``."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import tyro

from rsl_rl.cli.command_line import parsed
from rsl_rl.cli.doctor.system import Check, devices, folder, library, optional_packages, requirements
from rsl_rl.cli.main import UserError
from rsl_rl.cli.own_process import own_command, own_environment
from rsl_rl.cli.startup import load_pytorch
from rsl_rl.utils.install_lines import INSTALL_LINES

Look = Callable[[], Iterator[Check]]
_COLORS = {"ok": "green", "note": "yellow", "missing": "yellow", "failed": "bold red"}
# Way to draw, and the package of Debian and Ubuntu that it needs.
_DRAWING = {"egl": "libegl1", "osmesa": "libosmesa6", "glfw": "libglfw3"}


@dataclass(frozen=True)
class DoctorArguments:
    """Look at this installation and this machine, try out what the library needs, and say what to do where it fails.

    The exit code is 1 if something required does not work. A missing optional package is not a failure.
    """

    quick: bool = False
    """Only inspect: compile, draw and train nothing."""
    json: bool = False
    """Print the result as JSON."""
    gpu: bool = False
    """Try everything that a GPU has to do, measure it, and write both to rsl-rl-gpu.json; takes some minutes."""
    against: str | None = None
    """With --gpu: another interpreter, in whose environment a release of rsl-rl-lib is installed; measured, too."""


def run(arguments: list[str]) -> None:
    """Look at everything, and say what was found."""
    chosen = parsed(DoctorArguments, arguments, prog="rsl-rl doctor", config=(tyro.conf.FlagCreatePairsOff,))
    if chosen.gpu:
        examine_gpu(chosen.against)
        return
    say: Callable[..., None] = (lambda *_: None) if chosen.json else _say
    found: dict[str, list[Check]] = {}
    if not chosen.quick:
        say("Compiling, drawing and training take about a minute; --quick leaves them out.")
    load_pytorch()
    for title, look in sections(chosen.quick).items():
        say(f"[bold]{title}[/]")
        found[title] = []
        for check in looked(look):
            found[title].append(check)
            text = ": ".join(part for part in (check.text, check.hint) if part)
            say(f"  [{_COLORS[check.status]}]{check.status:8}[/]", f"{check.name:16}{text}".rstrip())
    everything = list(itertools.chain(*found.values()))
    failed, missing = ([c.name for c in everything if c.status == status] for status in ("failed", "missing"))
    if chosen.json:
        as_dicts = {title: [dataclasses.asdict(check) for check in section] for title, section in found.items()}
        print(json.dumps({"ok": not failed, "sections": as_dicts}))
    optional = f" Optional and missing: {', '.join(dict.fromkeys(missing))}." if missing else ""
    if failed:
        say(f"[bold red]Does not work: {', '.join(failed)}.[/]{optional}")
        raise SystemExit(1)
    say(f"[green]Everything required works.[/]{optional}")


def examine_gpu(against: str | None) -> None:
    """Try a GPU and measure it; the exit code is 1 if something fails, or if there is none."""
    import torch

    from rsl_rl.cli.doctor.gpu.checks import Device
    from rsl_rl.cli.doctor.gpu.report import examine, needed

    if (missing := needed()) is not None:
        raise UserError(missing)
    if not examine(Device(num_devices=torch.cuda.device_count()), against, say_check):
        raise SystemExit(1)


def say_check(check: Check) -> None:
    """Print a line about a check."""
    text = ": ".join(part for part in (check.text, check.hint) if part)
    _say(f"  [{_COLORS[check.status]}]{check.status:8}[/]", f"{check.name:24}{text}".rstrip())


def sections(quick: bool) -> dict[str, Look]:
    """Return what is looked at, by title."""
    found: dict[str, Look] = {
        "This library": library,
        "What it needs": requirements,
        "Devices": devices,
        "Optional packages": optional_packages,
        "Folder": folder,
        "torch.compile": compiler if quick else compilation,
    }
    import torch

    if not quick and torch.cuda.is_available():
        found["GPUs"] = gpus
    return found if quick else found | {"Pictures without a screen": drawing, "Self-test": self_test}


def looked(look: Look) -> Iterator[Check]:
    """Yield what a look finds; one that raises has failed and says so."""
    try:
        yield from look()
    except Exception as error:  # a doctor does not fall ill
        name = look.__name__.replace("_", " ")
        yield Check(name, "failed", f"this could not be looked at: {type(error).__name__}: {error}")


def compiler() -> Iterator[Check]:
    """Is there what torch.compile needs?"""
    # As torch looks for it.
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    found = [path for path in map(shutil.which, names) if path]
    if found:
        yield Check("C++ compiler", "ok", found[0])
    else:
        yield Check("C++ compiler", "missing", "only for 'torch_compile_mode'", "apt-get install g++")


def compilation() -> Iterator[Check]:
    """Compile something."""
    checks = list(compiler())
    yield from checks
    if checks[0].status != "ok":
        return
    # Processes of the compiler may still be writing.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        works, said = probe("compile", env={"TORCHINDUCTOR_CACHE_DIR": cache})
    if works:
        yield Check("compiling", "ok", said)
    else:
        hint = "apt-get install python3-dev" if "Python.h" in said else ""
        yield Check("compiling", "missing", f"only for 'torch_compile_mode', which does not work: {said}", hint)


def gpus() -> Iterator[Check]:
    """Compute on every GPU."""
    import torch

    for index in range(torch.cuda.device_count()):
        yield _tried(f"cuda:{index}", "gpu", f"cuda:{index}")
    yield _tried("training on cuda:0", "learn", "cuda:0")


def drawing() -> Iterator[Check]:
    """Draw a picture in each way that MuJoCo knows."""
    if importlib.util.find_spec("mujoco") is None:
        yield Check("mujoco", "missing", "nothing to draw with", INSTALL_LINES["envs"])
        return

    def draw(way: str) -> Check:
        if way == "glfw" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return Check(way, "missing", "there is no screen")
        # Of one of these two, MuJoCo wants that PYOPENGL_PLATFORM says the same; the user's may say otherwise.
        env = {"MUJOCO_GL": way} | ({"PYOPENGL_PLATFORM": way} if way in ("egl", "osmesa") else {})
        works, said = probe("render", seconds=60, env=env)
        if works:
            return Check(way, "ok", f"{said} (MUJOCO_GL={way})")
        hint = f"apt-get install {_DRAWING[way]}" if sys.platform.startswith("linux") else ""
        return Check(way, "missing", said, hint)

    with ThreadPoolExecutor() as pool:
        yield from pool.map(draw, _DRAWING)


def self_test() -> Iterator[Check]:
    """Train, save, resume, export; and let the simulators that are there make some steps."""
    yield _tried("learning", "learn", "cpu")
    if importlib.util.find_spec("gymnasium") is not None and importlib.util.find_spec("mujoco") is not None:
        yield _tried("gymnasium", "simulate", "gym:InvertedPendulum-v5")
    if importlib.util.find_spec("envpool") is not None:
        yield _tried("envpool", "simulate", "envpool:CartpoleBalance-v1")


def _tried(name: str, part: str, argument: str) -> Check:
    works, said = probe(part, argument)
    return Check(name, "ok" if works else "failed", said)


def probe(part: str, *arguments: str, seconds: float = 180, env: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Run a part of ``probe.py`` in a process of its own, whose crash does no harm here.

    Returns:
        Whether it works, and what it says or why it fails.
    """
    try:
        done = subprocess.run(
            own_command("rsl_rl.cli.doctor.probe", part, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**own_environment(), **(env or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"it did not end within {seconds:.0f} s"
    except OSError as error:
        return False, f"it did not start: {error}"
    answers = [line for line in done.stdout.splitlines() if line.startswith('{"answer": ')]
    if done.returncode == 0 and answers:
        return True, json.loads(answers[-1])["answer"]
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode < 0:
        return False, f"the process was ended by signal {-done.returncode}{f': {said[-1]}' if said else ''}"
    return False, said[-1] if said else f"it ended with the exit code {done.returncode}"


def _say(markup: str, plain: str = "") -> None:
    from rich.console import Console
    from rich.markup import escape

    # Lines as they are, however narrow the screen: they are pasted elsewhere.
    Console(highlight=False, soft_wrap=True, emoji=False).print(markup + escape(plain))
    sys.stdout.flush()
