"""Pages of the documentation: their code blocks, links and tables.

The convention, told to readers in CONTRIBUTING: the blocks of a page are run in order, in a directory of
the page's own. `console` is run by bash, except what begins with `make`; `python` is run, or, where its
first line is a comment with a file's name, kept under that name; anything else is shown only.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# ([\w/]+\.py)\n")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: its language, its text, and the file it is kept in, if it names one."""

    language: str
    text: str
    file: str = ""


def all_pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    found = []
    for language, text in _BLOCK.findall(page.read_text()):
        name = _FILE_NAME.match(text) if language == "python" else None
        found.append(Block(language, text, name.group(1) if name else ""))
    return found


def script(page: Path) -> str:
    """Everything that a page asks its reader to do, for bash."""
    parts = ["set -euo pipefail"]
    for number, block in enumerate(blocks(page)):
        end = f"END_OF_BLOCK_{number}"
        if block.language == "console":
            lines = [line for line in block.text.splitlines() if not line.startswith("make ")]
            parts += [*(f"# {page.name}", "set -x"), *lines, "{ set +x; } 2>/dev/null"]
        elif block.file:
            parts.append(f"cat > {block.file} <<'{end}'\n{block.text}{end}")
        elif block.language == "python":
            parts.append(f"python - <<'{end}'\n{block.text}{end}")
    return "\n".join(parts) + "\n"


def commands(page: Path, heading: str, containing: str) -> list[list[str]]:
    """The words of each command of the one block below a heading that has a phrase in it."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [text for _, text in _BLOCK.findall(section) if containing in text]
    if len(found) != 1:
        raise LookupError(f"{page.name} has {len(found)} blocks with {containing!r} below {heading!r}")
    lines = found[0].replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line and not line.startswith("#")]


def generations(page: Path) -> Iterator[dict[str, str]]:
    """The Python files as they stand together: a new set whenever a file is written anew."""
    files: dict[str, str] = {}
    fresh = False
    for number, block in enumerate(block for block in blocks(page) if block.language == "python"):
        name = block.file or f"block_{number}.py"
        if name in files and fresh:
            yield dict(files)
            fresh = False
        files[name] = block.text
        fresh = True
    if fresh:
        yield files


def links(page: Path) -> list[str]:
    return _LINK.findall(_BLOCK.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """The anchors that headings get where Markdown is shown."""
    kept = (re.sub(r"[^\w\- ]", "", heading).strip().lower() for heading in _HEADING.findall(_text(page)))
    return {heading.replace(" ", "-") for heading in kept}


def tables(page: Path, heading: str) -> list[dict[str, str]]:
    """The rows of the first table below a heading, by column; backticks are left out."""
    section = re.split(r"^#+ ", _text(page).partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [
        [cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    if not rows:
        raise LookupError(f"{page.name} has no table below {heading!r}")
    columns, _, *cells = rows
    return [dict(zip(columns, row, strict=True)) for row in cells]


def _text(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())
