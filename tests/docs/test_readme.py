# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the README shows works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "runs/pendulum/exports/policy.onnx").is_file()
    assert (tmp_path / "runs/pendulum/model_9.pt").is_file()


def test_it_says_what_it_is() -> None:
    assert "independent implementation" in README
    assert "not affiliated" in README
    for target in ("make train", "make test"):
        assert target in README
        assert target.split()[1] + ":" in (ROOT / "Makefile").read_text()
