# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""HTML in which every text is escaped unless it was made here."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from datetime import datetime


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, *children: object, **attributes: object) -> Html:
    """Return an element; children that are not :class:`Html` are escaped, those that are None are left out.

    Of attributes ``class_`` is class, ``data_tag`` is data-tag; True is one without a value, None none.
    """
    texts = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            texts.append(f" {key}")
        elif value is not None and value is not False:
            texts.append(f' {key}="{html.escape(str(value))}"')
    return Html(f"<{name}{''.join(texts)}>{joined(children)}</{name}>")


def joined(children: Iterable[object], separator: str = "") -> Html:
    """Return several texts as one, escaped where needed."""
    texts = (child if isinstance(child, Html) else html.escape(str(child)) for child in children if child is not None)
    return Html(separator.join(texts))


def table(header: Sequence[object], rows: Iterable[Sequence[object]], numbers: bool = True) -> Html:
    """Return a table that scrolls within its frame; with numbers all columns but the first are set to the right."""
    kind = "numbers" if numbers else None
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in others))
        for first, *others in rows
    ]
    whole = element("table", element("thead", head), element("tbody", *body), class_=kind)
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label="table")


def definitions(rows: Iterable[tuple[object, object]], kind: str) -> Html:
    """Return names and what they stand for, as a list of a class."""
    lines = (element("div", element("dt", name), element("dd", value)) for name, value in rows)
    return element("dl", *lines, class_=kind)


def details(summary: object, *body: object, is_open: bool = False) -> Html:
    """Return something that can be folded."""
    return element("details", element("summary", summary), *body, open=is_open)


def note(*texts: object) -> Html:
    """Return a sentence in the background, such as what is missing."""
    return element("p", *texts, class_="note")


def code(text: object) -> Html:
    """Return a name, path or command."""
    return element("code", text)


def figures(value: float | None) -> str:
    """Return a number with four digits, without an exponent where it reads well; a dash for None."""
    if value is None:
        return "-"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def size(num_bytes: int) -> str:
    """Return a file's size."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes} B"


def when(stat: os.stat_result) -> str:
    """Return the time at which a file was written."""
    return datetime.fromtimestamp(stat.st_mtime).strftime("%Y-%m-%d %H:%M")
