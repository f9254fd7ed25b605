# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The documentation site builds without a warning, needs no network, and no link in it is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.docs.blocks import ROOT

pytest.importorskip("mkdocs", reason='the site needs: pip install ".[docs]"')
# What a browser fetches by itself when it shows a page.
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}


class Page(HTMLParser):
    """Links, anchors and fetched files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in _FETCHED and _FETCHED[tag] in values:
            self.fetched.append(values[_FETCHED[tag]])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages of the site, as the strict build makes them."""
    site = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stderr
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_of_the_repository_is_on_the_site(pages: dict[Path, Page]) -> None:
    site = _root(pages)
    names = {str(path.relative_to(site).with_suffix("")) for path in pages}
    sources = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in (ROOT / "docs").rglob("*.md")}
    assert sources | {"index", "contributing", "changelog", "benchmarks"} <= names
    assert "Two commands" in (site / "index.html").read_text()


def test_a_browser_fetches_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        for target in page.fetched:
            if page.path.name == "404.html" and target.startswith("/"):
                target = target[1:]
            assert not re.match(r"(https?:)?//", target), f"{page.path.name}: {target}"
            assert target.startswith("data:") or (page.path.parent / urldefrag(target)[0]).exists(), (
                f"{page.path.name}: {target}"
            )
    for style in _root(pages).rglob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_links_and_anchors_of_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    for page in pages.values():
        if page.path.name == "404.html":
            continue
        for link in page.links:
            if re.match(r"\w+:", link):
                continue
            target, anchor = urldefrag(unquote(link))
            path = (page.path.parent / target).resolve() if target else page.path
            path = path / "index.html" if path.is_dir() else path
            assert path.exists(), f"{page.path.name}: {link}"
            if anchor and path in pages:
                assert anchor in pages[path].anchors | {"__skip"}, f"{page.path.name}: {link}"


def test_links_to_the_source_have_become_names(pages: dict[Path, Page]) -> None:
    text = (_root(pages) / "index.html").read_text()
    assert "rsl_rl/env/vec_env.py" in text
    assert 'href="rsl_rl/env/vec_env.py"' not in text


def test_docstrings_are_rendered_with_shapes_errors_and_references(pages: dict[Path, Page]) -> None:
    text = (_root(pages) / "api" / "runners.html").read_text()
    for part in ("num_learning_iterations", "Raises:", "FileNotFoundError", "Source code in"):
        assert part in text
    everything = "".join(path.read_text() for path in pages if path.parent.name == "api")
    assert not re.search(r":(class|meth|func|mod):<", everything), "a Sphinx role was not turned into a link"
    assert "Schulman et al., 2017" in everything


def _root(pages: dict[Path, Page]) -> Path:
    return next(path.parent for path in pages if path.name == "404.html")
