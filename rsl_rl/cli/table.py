# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Tables that read well on a screen and can be pasted into a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def as_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as an aligned Markdown table: the first column to the left, numbers to the right."""
    columns = []
    for index, (title, *cells) in enumerate(zip(header, *rows, strict=True)):
        texts = [str(title), *map(str, cells)]
        width = max(3, *map(len, texts))
        texts.insert(1, "-" * width if index == 0 else "-" * (width - 1) + ":")
        columns.append([text.ljust(width) if index == 0 else text.rjust(width) for text in texts])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))
