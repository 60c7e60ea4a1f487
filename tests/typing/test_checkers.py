"""Type checkers understand decorated functions: right calls pass, wrong ones are refused at their line."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
MESSAGE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): (?P<kind>error|note): (?P<text>.*)$", re.MULTILINE)


@cache
def judgement() -> tuple[tuple[str, int, str, str], ...]:
    """What mypy says of all cases: file, line, kind and text."""
    told, complaints, _ = api.run(
        [
            f"--config-file={ROOT / 'pyproject.toml'}",
            "--no-error-summary",
            "--no-pretty",
            *(str(path) for path in sorted(CASES.glob("*.py"))),
        ]
    )
    assert not complaints
    return tuple(
        (Path(found["file"]).name, int(found["line"]), found["kind"], found["text"])
        for found in MESSAGE.finditer(told)
    )


def marked(name: str, mark: str) -> dict[int, str]:
    """The expectations written in a case, by line."""
    lines = (CASES / name).read_text().splitlines()
    return {at: line.partition(f"# {mark}: ")[2] for at, line in enumerate(lines, 1) if f"# {mark}: " in line}


def test_right_programs_pass_and_their_types_are_inferred() -> None:
    told = [each for each in judgement() if each[0] == "right.py"]
    assert [each for each in told if each[2] == "error"] == []
    revealed = {
        line: re.sub(r"\b([a-z_]+\.)*right\.", "", text)
        .replace("pandas.core.frame.", "pandas.")
        .removeprefix('Revealed type is "')
        .removesuffix('"')
        for _, line, _, text in told
        if text.startswith("Revealed type is ")
    }
    assert revealed == marked("right.py", "R")


def test_wrong_programs_are_refused_at_their_lines() -> None:
    errors: dict[int, set[str]] = {}
    for file, line, kind, text in judgement():
        if file == "wrong.py" and kind == "error":
            errors.setdefault(line, set()).add(text.rpartition("[")[2].removesuffix("]"))
    assert errors == {line: set(codes.split()) for line, codes in marked("wrong.py", "E").items()}
