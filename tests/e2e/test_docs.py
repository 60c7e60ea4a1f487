"""Everything the documentation asks its reader to run, run; and its Python checked as a user's would be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.databases import empty_postgres
from support.pages import DOCS, ROOT, blocks, generations, script

PAGES = [ROOT / "README.md", DOCS / "quickstart.md", *sorted((DOCS / "howto").glob("*.md"))]
ON_POSTGRESQL = {"server-and-workers.md"}
PATIENCE = 480

pytestmark = [pytest.mark.docs, pytest.mark.timeout(PATIENCE + 60)]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_says_works(page: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")}
    environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("XDG_CONFIG_HOME", None)
    if page.name in ON_POSTGRESQL:
        environment["VOLERY_DATABASE"] = empty_postgres()
    (tmp_path / "page.sh").write_text(script(page))
    with (tmp_path / "output").open("wb") as output:
        reader = subprocess.Popen(
            ["bash", str(tmp_path / "page.sh")],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = reader.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            leave_nothing(reader.pid)
    told = (tmp_path / "output").read_text(errors="replace")
    assert code == 0, f"{named(page)} ended with {code}:\n{told[-6000:]}"


def leave_nothing(group: int) -> None:
    """Ends what a page left in the background; engines end with whoever started them."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.language == "python" for block in blocks(page))], ids=named
)
def test_the_python_of_a_page_is_well_typed(page: Path, tmp_path: Path) -> None:
    for number, files in enumerate(generations(page)):
        place = tmp_path / str(number)
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        assert complaints(place, *files) == ""


def test_the_examples_are_well_typed() -> None:
    place = ROOT / "examples"
    assert complaints(place, *(example.name for example in place.glob("*.py"))) == ""


def complaints(place: Path, *files: str) -> str:
    """What the type checker says about files, with our own strictness."""
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("--cache-dir", str(ROOT / ".mypy_cache" / "docs"), *sorted(files)),
        ],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if checked.returncode == 0 else checked.stdout + checked.stderr
