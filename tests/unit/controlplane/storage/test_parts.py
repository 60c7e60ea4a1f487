from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from volery._file_storage import FileStorage
from volery_controlplane.storage import sweeping
from volery_controlplane.storage.sweeping import FileSweep
from volery_dataplane.storage.files import FileBlobs

EXECUTION = "executions/demo/development/e/0123abcd"


def files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def lay(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")


async def test_what_killed_writers_left_is_removed_and_what_looks_like_it_is_not(tmp_path: Path) -> None:
    lay(
        tmp_path,
        f"{EXECUTION}/.volery-a1_b2c3d.arriving",
        f"{EXECUTION}/0123456789ab-birds/deep/.volery-a1_b2c3d.arriving",
        "logs/7/n0/n1/1/stdout.part",
        "installation.123.part",
    )
    kept = {
        f"{EXECUTION}/0123456789ab-film.part",
        f"{EXECUTION}/0123456789ab-train.arriving",
        f"{EXECUTION}/0123456789ab-birds/tmpa1_b2c3d.arriving",
        "logs/7/n0/n1/1/stderr",
        "blobs/ab/stdout.part",
        "installation",
    }
    lay(tmp_path, *kept)
    assert await FileSweep(tmp_path).remove_parts(timedelta(0)) == 4
    assert files(tmp_path) == kept


async def test_what_somebody_may_be_writing_is_left_alone_however_old_its_content_is(tmp_path: Path) -> None:
    lay(tmp_path, "logs/7/n0/1/stdout")
    os.utime(tmp_path / "logs/7/n0/1/stdout", (0, 0))
    (tmp_path / "logs/7/n0/1/stdout").rename(tmp_path / "logs/7/n0/1/stdout.part")
    assert await FileSweep(tmp_path).remove_parts(timedelta(hours=1)) == 0
    assert files(tmp_path) == {"logs/7/n0/1/stdout.part"}


async def test_writers_name_their_parts_as_they_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    replace = os.replace

    def look(source: str | Path, target: str | Path) -> None:
        seen.extend(str(path) for path in (source, target) if Path(path).is_relative_to(tmp_path))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    FileStorage().write((tmp_path / EXECUTION / "0123456789ab-x").as_uri(), b"x")
    lay(tmp_path, "spool")
    await FileBlobs().put_file(str(tmp_path / "spool"), (tmp_path / "logs/7/n0/1/stdout").as_uri())
    parts = {
        top: [name for path in seen if re.fullmatch(pattern, name := Path(path).name)]
        for top, pattern in sweeping._PARTS.items()
    }
    assert len(parts["executions"]) == 1
    assert set(parts["logs"]) == {"stdout.part"}


async def test_a_store_that_is_larger_than_a_slice_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_SLICE", 0.0)
    lay(tmp_path, *(f"logs/{key}/n0/1/stderr.part" for key in range(20)))
    assert await FileSweep(tmp_path).remove_parts(timedelta(0)) == 20
    assert files(tmp_path) == set()
