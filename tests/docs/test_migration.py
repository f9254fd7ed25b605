# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What docs/migration.md shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from rsl_rl.compat.configurations import modernize_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text()
BLOCKS = re.findall(r"```yaml\n# (before|now)\n(.*?)```", PAGE, flags=re.DOTALL)
PAIRS = [(before, now) for (_, before), (_, now) in zip(BLOCKS[::2], BLOCKS[1::2], strict=True)]


@pytest.mark.parametrize(("before", "now"), PAIRS, ids=["1.x", "2.x", "3.x", "4.x"])
def test_each_configuration_becomes_the_one_beside_it(before: str, now: str) -> None:
    new, changes = modernize_config(yaml.safe_load(before), ["policy", "privileged"])
    assert changes
    assert new == yaml.safe_load(now)


def test_links_lead_to_headings() -> None:
    headings = {re.sub(r"[^a-z0-9 -]", "", line.lower()) for line in re.findall(r"^#+ (.*)$", PAGE, flags=re.MULTILINE)}
    for target in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert target in headings, target
