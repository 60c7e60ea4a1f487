"""The page on the container contract tells what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from volery._pod import contract, process, verdicts
from volery_rules.verdicts import FORMAT, attempt_tag

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "container-contract.md").read_text()
READS = (Path(contract.__file__)).read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_variable_that_is_read_is_in_the_table_and_no_other() -> None:
    told = {row[0].strip("`") for row in rows("Variables")}
    assert told == set(re.findall(r"VOLERY_[A-Z0-9_]+", READS))


def test_what_user_code_finds_is_what_is_not_taken_out() -> None:
    told = {row[0].strip("`") for row in rows("Variables")}
    section = " ".join(PAGE.split("\n## Variables\n")[1].split("\n## ")[0].split())
    named = re.search(r"User code of Python tasks finds (.*?) and, where it is set", section)
    assert named is not None
    left = {"VOLERY_INPUT_DIR", "VOLERY_OUTPUT_DIR"}  # of container tasks, whose programs do need them
    assert set(re.findall(r"VOLERY_\w+", named[1])) == told - set(contract.PRIVATE) - left


def test_exit_codes_are_those_of_the_entry_point() -> None:
    assert [int(row[0]) for row in rows("Exit codes")] == [
        process.SUCCEEDED,
        process.FAILED,
        process.BROKEN,
        process.UNTOLD,
        process.TERMINATED,
    ]


def test_the_line_of_a_verdict_is_told_as_it_is() -> None:
    assert f"\n{FORMAT} LENGTH SHA256 TAG BASE64\n{FORMAT} LENGTH SHA256 TAG uri:URI\n" in PAGE
    assert verdicts.FORMAT == FORMAT
    assert len(attempt_tag("u", "n", 1)) == 16
    assert f"at most {contract.KUBELET_KEEPS}; {contract.VERDICT_LIMIT} unless set" in PAGE
    assert f"{contract.INLINE_LIMIT} unless set" in PAGE


def test_every_failure_of_the_entry_points_own_is_told() -> None:
    told = {row[0].strip("`") for row in rows("Failures that are not exceptions")}
    package = Path(contract.__file__).parent
    sources = "".join(path.read_text() for path in package.glob("*.py"))
    assert set(re.findall(r"(?:failed|_fails)\(\s*\"(\w+)\"", sources)) == told
