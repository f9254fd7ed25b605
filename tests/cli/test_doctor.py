# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The doctor: what it finds, what it tries, and that nothing takes it along."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rsl_rl.cli.doctor import system as doctor_system
from rsl_rl.cli.doctor.doctor_command import compilation, compiler, drawing, looked, probe, sections
from rsl_rl.cli.doctor.system import Check
from rsl_rl.cli.doctor.training import Reach, train_and_check
from rsl_rl.cli.main import main


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict]]:
    """What a quick look finds."""
    monkeypatch.chdir(tmp_path)
    main(["doctor", "--quick", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    return report["sections"]


def test_a_quick_look_names_versions_devices_and_the_folder(quick: dict[str, list[dict]], tmp_path: Path) -> None:
    found = {check["name"]: check for section in quick.values() for check in section}
    assert found["torch"]["text"].startswith(torch.__version__.partition("+")[0])
    assert found["python"]["text"].startswith(".".join(map(str, sys.version_info[:3])))
    assert f"{len(os.sched_getaffinity(0))} cores" in found["cpu"]["text"]
    assert str(tmp_path) in found["runs"]["text"]
    assert list(tmp_path.iterdir()) == []
    assert {check["status"] for check in quick["What it needs"]} == {"ok"}
    for check in quick["Optional packages"]:
        assert check["status"] in ("ok", "missing")
        assert check["status"] == "ok" or check["text"] or check["hint"].startswith("pip install ")


def test_text_can_be_pasted_and_ends_with_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "20")
    main(["doctor", "--quick"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "This library"
    assert lines[-1].startswith("Everything required works.")
    assert "\x1b" not in "".join(lines)
    assert all(line.startswith(("  ok      ", "  note    ", "  missing ")) for line in lines[1:3])


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder in which nobody can write")
def test_what_is_needed_and_does_not_work_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/proc")
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", "--quick"])
    assert exit_.value.code == 1
    printed = capsys.readouterr().out
    assert "  failed  runs            /proc cannot be written: " in printed
    assert "Does not work: runs." in printed


def test_a_look_that_raises_is_a_finding() -> None:
    def my_look() -> Iterator[Check]:
        yield Check("first", "ok")
        raise OSError("no such thing")

    first, second = looked(my_look)
    assert first.status == "ok"
    assert second == Check("my look", "failed", "this could not be looked at: OSError: no such thing")


def test_a_part_that_crashes_or_hangs_is_a_finding() -> None:
    crashed = probe("simulate", "tests.cli.sweep_tasks:crash")
    hung = probe("simulate", "gym:Drift-v0", seconds=0.01)
    refused = probe("render", env={"MUJOCO_GL": "nothing"})
    for (works, said), reason in zip((crashed, hung, refused), ("signal 6", "within 0 s", "nothing"), strict=True):
        assert not works
        assert reason in said


def test_without_a_compiler_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (check,) = compiler()
    assert (check.status, check.hint) == ("missing", "apt-get install g++")


def test_a_cache_of_the_compiler_that_stays_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_something(part: str, env: dict[str, str]) -> tuple[bool, str]:
        cache = Path(env["TORCHINDUCTOR_CACHE_DIR"])
        cache.rmdir()
        cache.write_text("a folder that cannot be removed")
        return True, "compiled"

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("rsl_rl.cli.doctor.doctor_command.probe", leave_something)
    monkeypatch.setenv("CXX", sys.executable)  # The compiler is not what is tried.
    assert [check.status for check in compilation()] == ["ok", "ok"]


def test_packages_that_are_not_there_come_with_their_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor_system.installed_version
    monkeypatch.setattr(
        doctor_system, "installed_version", lambda name: None if name in ("optuna", "numpy") else installed(name)
    )
    found = {check.name: check for check in doctor_system.optional_packages()}
    assert found["optuna"] == Check("optuna", "missing", "", "pip install optuna")
    needed = {check.name: check for check in doctor_system.requirements()}
    assert needed["numpy"] == Check("numpy", "failed", "is not installed", 'pip install "numpy>=1.26"')


def test_a_version_that_is_too_old_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_system, "installed_version", lambda name: "2.5.1+cu118" if name == "torch" else "999")
    (torch_,) = (check for check in doctor_system.requirements() if check.name == "torch")
    assert torch_ == Check("torch", "failed", "2.5.1+cu118, but >=2.6 is needed")


def test_every_way_to_draw_works_or_comes_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")  # The user's own choice stands in the way of no other.
    for check in drawing():
        assert "PYOPENGL_PLATFORM" not in check.text
        if check.status == "ok":
            assert check.text == f"a picture was drawn (MUJOCO_GL={check.name})"
        else:
            assert check.status == "missing"
            assert check.hint.startswith("apt-get install lib") or check.text == "there is no screen"


def test_the_self_test_learns_resumes_and_exports(tmp_path: Path) -> None:
    told = train_and_check(str(tmp_path), "cpu")
    assert "resumed from its checkpoint: the same bit for bit; ONNX differs by" in told


def test_the_self_test_sees_what_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Reach, "load_state_dict", lambda self, state: None)
        with pytest.raises(RuntimeError, match="a resumed training is not the one that was interrupted"):
            train_and_check(str(tmp_path / "a"), "cpu")
    step = Reach.step

    def blind(self: Reach, actions: torch.Tensor):
        return step(self, torch.ones_like(actions))

    monkeypatch.setattr(Reach, "step", blind)
    with pytest.raises(RuntimeError, match="nothing was learned: the reward went from"):
        train_and_check(str(tmp_path / "b"), "cpu")


def test_quick_tries_nothing() -> None:
    assert set(sections(quick=True)) < set(sections(quick=False))
    assert "Self-test" not in sections(quick=True)
