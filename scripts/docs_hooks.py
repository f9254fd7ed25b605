# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""What MkDocs does to the pages: files beside docs/ become pages of the site, and links to the source become names.

The pages are written to be read in the repository as well. There a link may lead to any file; on the site it leads to a
page where there is one, and is the file's name where there is none.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
# Page of the site -> file of the repository.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/README.md",
}
# Programs that pages speak of are shown whole, each on a page of its own.
_CODE = {".py": "python", ".yaml": "yaml", ".cpp": "cpp"}
for _path in sorted((ROOT / "examples").rglob("*")):
    if _path.suffix in _CODE or _path.name == "README.md":
        _name = "index" if _path.name == "README.md" else _path.name
        PAGES[f"{_path.parent.relative_to(ROOT)}/{_name}.md"] = str(_path.relative_to(ROOT))
_LINK = re.compile(r"(?<!!)\[([^\]\[]+)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)(```+).*?^\1\2`*[ ]*$", flags=re.DOTALL | re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages whose files lie outside of docs/."""
    for page, source in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        if (language := _CODE.get(Path(source).suffix)) is not None:
            content = f"# `{source}`\n\n`````{language}\n{content}`````\n"
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links of the repository into links of the site, outside of code."""
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [site_links(markdown[end : fence.start()], source, page.file.src_uri), fence[0]]
        end = fence.end()
    return "".join([*parts, site_links(markdown[end:], source, page.file.src_uri)])


def site_links(markdown: str, source: str, page: str) -> str:
    """Return Markdown with the links that a page of the site needs.

    Args:
        markdown: Text in which links are relative to the file it stands in.
        source: That file, relative to the repository.
        page: The page, relative to docs/.
    """

    def link(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if not target or ":" in target:
            return match[0]
        path = _in_repository(target, source)
        if (uri := _page_of(path)) is not None:
            return f"[{text}]({posixpath.relpath(uri, posixpath.dirname(page) or '.')}{anchor})"
        if not (ROOT / path).exists():
            return match[0]  # The strict build says so.
        is_name = text.strip("`") in (path, Path(path).name)
        return f"`{path}`" if is_name else f"{text} (`{path}`)"

    def image(match: re.Match[str]) -> str:
        uri = _page_of(_in_repository(match[2], source))
        return f"![{match[1]}]({posixpath.relpath(uri, posixpath.dirname(page) or '.')})" if uri else match[0]

    return _LINK.sub(link, _IMAGE.sub(image, markdown))


def _in_repository(target: str, source: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _page_of(path: str) -> str | None:
    """Return the place on the site of a file of the repository, None if it has none."""
    by_source = {source: page for page, source in PAGES.items()}
    inside = path.removeprefix("docs/") if path.startswith("docs/") and (ROOT / path).is_file() else None
    return by_source.get(path, inside)
