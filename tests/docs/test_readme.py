# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What the README says about this project; its code is run by test_code_blocks.py."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_says_what_it_is() -> None:
    assert "independent implementation" in README
    assert "not affiliated" in README
    for target in ("make train", "make test"):
        assert target in README
        assert target.split()[1] + ":" in (ROOT / "Makefile").read_text()
