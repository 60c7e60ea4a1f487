"""What the documentation points at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import DOCS, ROOT, all_pages, anchors, links

PAGES = all_pages()
NAMED_IN_FILES = re.compile(r"`(\w+)`[^`\[.]{1,60}\[[\w/.]+\.py\]\(([^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_linked_from_somewhere() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in links(page) if link
    }
    assert [page for page in PAGES if page.is_relative_to(DOCS) and page not in linked] == []


def test_the_names_of_the_architecture_are_in_the_files_it_names() -> None:
    page = DOCS / "architecture.md"
    found = NAMED_IN_FILES.findall(page.read_text())
    assert len(found) > 35
    for name, link in found:
        source = (page.parent / link).read_text()
        assert re.search(rf"\b(class|def) {name}\b", source), f"{name} is not in {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_and_blanks_are_kept_in_order(page: Path) -> None:
    text = page.read_text()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]+$", text, flags=re.MULTILINE)
    assert text.count("\n```") % 2 == 0
