# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The wheel holds the whole package. What scripts/check_wheel.py does with it takes minutes and a network."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def script() -> Any:
    specification = importlib.util.spec_from_file_location("check_wheel", ROOT / "scripts" / "check_wheel.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel that is built from this checkout."""
    pytest.importorskip("setuptools")
    with zipfile.ZipFile(script().build(tmp_path_factory.mktemp("wheel"))) as wheel:
        return wheel.namelist()


def test_the_wheel_holds_every_file_of_the_package(names: list[str]) -> None:
    files = [file for file in (ROOT / "rsl_rl").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    expected = {file.relative_to(ROOT).as_posix() for file in files}
    assert {"rsl_rl/py.typed", "rsl_rl/config/tasks/cartpole-balance.yaml"} <= expected
    assert {name for name in names if name.startswith("rsl_rl/")} == expected


def test_the_wheel_holds_nothing_else(names: list[str]) -> None:
    others = {name.partition("/")[2] for name in names if not name.startswith("rsl_rl/")}
    assert {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"} <= others
    assert others <= {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def test_the_pythons_of_this_machine_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONS", f"'{sys.executable}' nothing-of-this-name")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = script().find_pythons()
    assert list(found) == ([version] if version in script().VERSIONS else [])


def test_an_interpreter_that_does_not_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "python3"
    silent.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PYTHONS", str(silent))
    module = script()
    module.PATIENCE = 0.01
    assert module.find_pythons() == {}


def test_importing_pulls_in_none_of_the_packages_that_the_check_names() -> None:
    module = script()
    imports = "import sys, rsl_rl, " + ", ".join(f"rsl_rl.{name}" for name in module.PACKAGES)
    code = f"{imports}; print([name for name in '{module.NOT_IMPORTED}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_command_that_fails_is_shown_with_its_last_words(tmp_path: Path) -> None:
    module = script()
    code = "import os; print('working'); assert 'PYTHONPATH' not in os.environ, 'kept'; raise SystemExit('no luck')"
    with pytest.raises(module.Failed, match=r"(?s)ended with 1:\nworking\nno luck"):
        module.run([sys.executable, "-c", code], tmp_path)
