from __future__ import annotations

import shutil
from pathlib import Path

from support.files_below import files_below, size_below


def store(directory: Path) -> Path:
    for name in ("a", "b", "c"):
        (directory / name / "deep").mkdir(parents=True)
        (directory / name / "deep" / "file").write_bytes(b"12345")
    return directory


def test_files_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    directory = store(tmp_path)
    found = sorted(str(path.relative_to(directory)) for path in files_below(directory))
    assert found == ["a/deep/file", "b/deep/file", "c/deep/file"]
    assert size_below(directory, directory / "a") == 20


def test_folders_that_go_while_one_looks_are_left_out(tmp_path: Path) -> None:
    directory = store(tmp_path)
    looking = files_below(directory)
    first = next(looking)
    for folder in directory.iterdir():
        if folder not in first.parents:
            shutil.rmtree(folder)
    assert list(looking) == []


def test_what_was_never_there_is_empty(tmp_path: Path) -> None:
    assert list(files_below(tmp_path / "none")) == []
    assert size_below(tmp_path / "none") == 0
