# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The messages that docs/troubleshooting.md quotes are those that this library gives."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTES = [
    line
    for others, text in re.findall(r"(<!-- by others -->\n)?```text\n(.*?)```", PAGE, flags=re.DOTALL)
    if not others
    for line in text.splitlines()
]
_KIND = re.compile(r"^(?:error|\w+(?:Error|Warning)): ")


@functools.cache
def messages() -> list[list[str]]:
    """Return every text of the package as the parts between its values, cut at line breaks."""
    found = []
    for path in (ROOT / "rsl_rl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            if any(isinstance(text, str) for text in texts):
                found += _lines(["\0" if text is None else str(text) for text in texts])
    return found


def _lines(texts: list[str]) -> list[list[str]]:
    lines = [line.split("\0") for line in "".join(texts).split("\n")]
    return [parts for parts in lines if sum(map(len, parts)) > 12]


def is_quote_of(quote: str, parts: list[str]) -> bool:
    """Return whether a message made of these parts, with values between them, reads so; "..." leaves out the rest."""
    is_cut = quote.endswith("...")
    quote, place = quote.removesuffix("...").rstrip(), 0
    for index, part in enumerate(parts):
        found = quote.find(part, place)
        if found < 0:
            # Cut within this part, of which something must be there.
            lengths = range(len(part), 3, -1)
            return is_cut and any(
                quote.endswith(part[:length].rstrip()) and len(quote) - length <= place + 80 * index
                for length in lengths
            )
        if found > 0 and index == 0:
            return False
        place = found + len(part)
        if is_cut and place == len(quote) >= 12:
            return True
    return place == len(quote) or parts[-1] == ""


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quoted_message_is_one_of_ours(quote: str) -> None:
    text = _KIND.sub("", quote)
    assert any(is_quote_of(text, parts) for parts in messages()), "no message of rsl_rl reads like this"


def test_a_changed_word_is_noticed() -> None:
    parts = ["The device '", "' cannot be used here, 'cpu' always can: ", ""]
    assert is_quote_of("The device 'cuda:0' cannot be used here, 'cpu' always can: ...", parts)
    assert not is_quote_of("The device 'cuda:0' cannot be used there, 'cpu' always can: ...", parts)
    assert not any(is_quote_of("The device 'cuda:0' cannot be used at all: ...", parts) for parts in messages())
    assert not any(is_quote_of("Nobody has ever said this.", parts) for parts in messages())
    assert not is_quote_of("A device 'cuda:0' cannot be used here, 'cpu' always can: ...", parts)


def test_there_are_messages_of_ours_and_of_others() -> None:
    assert len(QUOTES) > 30
    for text in ("normal expects all elements of std >= 0.0", "CUDA out of memory", "gladLoadGL error", "weights only"):
        assert text.lower() in PAGE.lower()
