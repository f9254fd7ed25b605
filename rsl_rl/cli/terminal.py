# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What commands print, as a terminal may show it: names from files must not control it, nor be what it cannot show."""

from __future__ import annotations

import os
import re

# Control characters, those that change the direction of text, and halves of characters that are not UTF-8.
_CONTROLS = "\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
# With the colors of a help text, which are shown on a terminal only.
_CONTROL_OR_COLOR = re.compile(f"(?P<color>\x1b\\[[0-9;]*m)|[{_CONTROLS}]")


def printable(text: str, encoding: str = "utf-8", has_colors: bool = False) -> str:
    r"""Return a text in which everything that a terminal would obey, or cannot show, is written out, as in ``\x1b``.

    Line feeds and tabs stay, and colors if the terminal has them.
    """

    def written_out(found: re.Match[str]) -> str:
        return found[0] if has_colors and found["color"] else ascii(found[0])[1:-1]

    text = (_CONTROL_OR_COLOR if has_colors else _CONTROL).sub(written_out, text.replace("\r\n", "\n"))
    return text.encode(encoding, "backslashreplace").decode(encoding)


def with_home(argument: str) -> str:
    """Return an argument with ``~`` as the home folder, where a shell leaves it as it is: ``--output=~/x``."""
    name, separator, value = argument.partition("=")
    if separator and name.startswith("-") and value.startswith("~"):
        return f"{name}={os.path.expanduser(value)}"
    return os.path.expanduser(argument) if argument == "~" or argument.startswith("~/") else argument
