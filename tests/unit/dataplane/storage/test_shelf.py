from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from volery_dataplane.storage.shelf import Shelf


def stand(directory: Path, letter: str, size: int, used: int) -> str:
    """A bundle of some bytes, used some seconds after the beginning of time."""
    name = letter * 64
    (directory / name).mkdir(parents=True)
    (directory / name / "code.py").write_bytes(b"#" * size)
    os.utime(directory / name, (used, used))
    return name


def names(directory: Path) -> str:
    return "".join(sorted(path.name[0] for path in directory.iterdir()))


def test_those_not_used_for_longest_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    for number, letter in enumerate("abcd"):
        stand(tmp_path, letter, 100, number)
    shelf = Shelf(tmp_path, 250, frozenset)
    assert shelf.make_room() == 2
    assert names(tmp_path) == "cd"
    assert shelf.make_room() == 0


def test_taking_one_counts_as_its_use(tmp_path: Path) -> None:
    for number, letter in enumerate("abc"):
        stand(tmp_path, letter, 100, number)
    shelf = Shelf(tmp_path, 200, frozenset)
    assert shelf.take("a" * 64) == tmp_path / ("a" * 64)
    shelf.make_room()
    assert names(tmp_path) == "ac"


def test_one_in_use_stays_even_if_it_alone_is_too_large(tmp_path: Path) -> None:
    used = stand(tmp_path, "a", 500, 0)
    stand(tmp_path, "b", 100, 1)
    shelf = Shelf(tmp_path, 50, lambda: {used})
    assert shelf.take(used) is not None
    shelf.make_room()
    assert names(tmp_path) == "a"


def test_what_another_worker_uses_stays_until_that_one_is_dead(tmp_path: Path) -> None:
    name = stand(tmp_path, "a", 500, 0)
    program = (
        "import sys; from pathlib import Path; from volery_dataplane.storage.shelf import Shelf\n"
        "shelf = Shelf(Path(sys.argv[1]), 0, frozenset)\n"
        "assert shelf.take(sys.argv[2]); print('taken', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"taken\n"
    shelf = Shelf(tmp_path, 0, frozenset)
    assert shelf.make_room() == 0
    other.kill()
    other.communicate()
    assert shelf.make_room() == 1
    assert names(tmp_path) == ""


def test_one_that_is_not_there_cannot_be_taken(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 100, frozenset)
    assert shelf.take("a" * 64) is None
    name = stand(tmp_path, "a", 10, 0)
    assert shelf.take(name) is not None
    Shelf(tmp_path, 0, frozenset).close()
    (tmp_path / name / "code.py").unlink()
    (tmp_path / name).rmdir()
    assert shelf.take(name) is None, "what is held and is gone all the same is not given out"


def test_scraps_of_interrupted_work_are_cleared_when_they_are_old(tmp_path: Path) -> None:
    for name, time in (("unpacking-a", 0), ("leaving-b", 0), ("unpacking-c", 9_000)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time, time))
    Shelf(tmp_path, 100, frozenset).clear_scraps(3600)
    assert [path.name for path in tmp_path.iterdir()] == ["unpacking-c"]
