# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The house rules that a machine can hold: who may import whom, and what an import may pull in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rsl_rl"
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    file
    for name in ("rsl_rl", "tests", "clients", "benchmarks", "examples")
    for file in sorted((ROOT / name).rglob("*.py"))
]

# What each package may import of the others.
_LOW = {"utils"}
_SIDE = {"compat", "config", "checkpoint", "distributed", "telemetry", "env", "export"}
ALLOWED = {
    "utils": set(),
    "core": set(),
    "robots": set(),
    "modules": {"core", "utils", "distributed"},
    "compat": _LOW,
    "config": _LOW | {"compat"},
    "checkpoint": _LOW,
    "distributed": _LOW,
    "telemetry": _LOW | {"distributed", "compat"},
    "env": _LOW | {"compat", "robots"},
    "export": _LOW | {"modules", "core", "telemetry"},
    "models": _LOW | {"modules", "core", "config", "export"},
    "storage": _LOW | {"modules", "core"},
    "learning": _LOW | {"storage", "distributed"},
    "extensions": _LOW | {"learning", "modules", "core", "config", "env", "storage"},
    "algorithms": _LOW
    | {"learning", "models", "storage", "extensions", "modules", "core", "config", "env", "distributed", "checkpoint"}
    | {"compat"},
    "runners": _LOW | _SIDE | {"algorithms", "models", "storage", "extensions", "modules", "core"},
    "cli": _LOW | _SIDE | {"runners", "algorithms", "models", "storage", "extensions", "modules", "core", "robots"},
}
# Names that api.md fixes in another place are re-exported there.
RE_EXPORTS = {
    ("utils/__init__.py", "core"),
    *((f"utils/{file}.py", "telemetry") for file in ("logger", "log_writer", "wandb_log_writer", "neptune_log_writer")),
}
OPTIONAL = (
    "tensorboard wandb neptune mlflow gymnasium envpool onnx onnxscript onnxruntime rich tyro yaml matplotlib git"
)


def imports(file: Path) -> list[str]:
    """Return every imported module of a file, also those imported within functions."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            if node.module in {"rsl_rl", "torch"}:  # What is imported from these may itself be a package.
                found += [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                found.append(node.module or "")
    return found


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import rsl_rl.runners as runners", "rsl_rl.runners"),
        ("from rsl_rl import runners", "rsl_rl.runners"),
        ("from rsl_rl.runners.on_policy_runner import OnPolicyRunner", "rsl_rl.runners.on_policy_runner"),
        ("def late():\n    from rsl_rl.cli import main", "rsl_rl.cli"),
        ("if TYPE_CHECKING:\n    from rsl_rl.algorithms import PPO", "rsl_rl.algorithms"),
        ("from torch import distributed as dist", "torch.distributed"),
    ],
)
def test_every_way_to_import_is_seen(code: str, module: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(code)
    assert imports(file) == [module]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_dependencies_point_downwards(file: Path) -> None:
    place = file.relative_to(PACKAGE)
    if len(place.parts) == 1:
        return
    own = place.parts[0]
    for module in imports(file):
        parts = module.split(".")
        # The table of old names imports nothing until a program asks for one.
        if parts[0] != "rsl_rl" or len(parts) == 1 or parts[1] == own or module == "rsl_rl.compat.names":
            continue
        allowed = parts[1] in ALLOWED[own] or (place.as_posix(), parts[1]) in RE_EXPORTS
        assert allowed, f"{place} imports {module}: {own} may import {sorted(ALLOWED[own])}"


def test_every_package_has_its_rule() -> None:
    packages = {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
    assert packages <= set(ALLOWED)
    assert not any(ALLOWED[side] & {"runners", "algorithms", "cli"} for side in _SIDE)


def test_core_is_arithmetic_only() -> None:
    for file in (PACKAGE / "core").glob("*.py"):
        roots = {module.split(".")[0] for module in imports(file)}
        assert roots <= {"torch", "tensordict", "rsl_rl", "__future__", "collections", "math", "typing"}, file


def test_only_distributed_talks_to_other_processes() -> None:
    for file in FILES:
        if file.relative_to(PACKAGE).parts[0] != "distributed":
            # The text as well: torch.distributed is also there after a plain `import torch`.
            assert not any(module.startswith("torch.distributed") for module in imports(file)), file
            assert "torch.distributed" not in file.read_text(), file


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_small_and_name_their_licence(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= 400 or file.is_relative_to(ROOT / "tests") or file.is_relative_to(ROOT / "clients")
    assert not lines or lines[:2] == [
        "# Copyright (c) 2026, The RSL-RL Independent Authors",
        "# SPDX-License-Identifier: BSD-3-Clause",
    ]


def test_importing_the_library_pulls_in_nothing_optional_and_changes_nothing_global() -> None:
    public = [
        f"rsl_rl.{name}"
        for name in ["runners", "algorithms", "models", "modules", "env", "storage", "utils", "utils.logger"]
    ]
    code = (
        "import sys, torch\n"
        "threads = torch.get_num_threads()\n"
        f"import rsl_rl, {', '.join(public)}\n"
        f"loaded = [name for name in '{OPTIONAL}'.split() if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "assert torch.distributions.Distribution._validate_args\n"
        "assert torch.get_num_threads() == threads\n"
        "assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
