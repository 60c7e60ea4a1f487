"""The shelf that unpacked bundles stand on: it holds so many bytes, and those used last.

A bundle in use is never taken away. Within a worker the launcher tells which are; between workers that share
a directory each holds a lock on the folders of those that it uses, which the kernel drops when it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Set
from pathlib import Path

from volery_dataplane.storage.files import flush

Used = Callable[[], Set[str]]


class Shelf:
    """The folder of unpacked bundles of a machine.

    Args:
        directory: where they stand, each named by its hash.
        limit: bytes that may stand there; more while more are in use.
        used: tells which ones this worker uses.
    """

    def __init__(self, directory: Path, limit: int, used: Used) -> None:
        self._directory = directory
        self._limit = limit
        self._used = used
        self._held: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def take(self, sha256: str) -> Path | None:
        """The folder of a bundle, held from now on; None where there is none."""
        folder = self._directory / sha256
        held = self._held.get(sha256)
        if held is not None and _is_at(held, folder):
            os.utime(folder)
            return folder
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_at(lock, folder):  # it was taken away while we asked for it
            os.close(lock)
            return None
        self._let_go(sha256)
        self._held[sha256] = lock
        os.utime(folder)  # those used last stay
        return folder

    def make_room(self) -> int:
        """Takes away bundles nobody uses, those not used for longest first; gives how many went."""
        used = self._used()
        for sha256 in [each for each in list(self._held) if each not in used]:
            self._let_go(sha256)
        standing = sorted(
            (entry.stat().st_mtime, entry.name)
            for entry in os.scandir(self._directory)
            if len(entry.name) == 64 and entry.is_dir(follow_symlinks=False)
        )
        self._sizes = {name: self._sizes.get(name) or _size(self._directory / name) for _, name in standing}
        total, gone = sum(self._sizes.values()), 0
        for _, name in standing:
            if total <= self._limit:
                break
            if name not in used and self._take_away(name):
                total -= self._sizes.pop(name)
                gone += 1
        return gone

    def clear_scraps(self, age: float) -> None:
        """Removes what is left of unpacking and taking away that was interrupted some seconds ago."""
        with contextlib.suppress(FileNotFoundError):
            newest = max((entry.stat().st_mtime for entry in os.scandir(self._directory)), default=0.0)
            for entry in list(os.scandir(self._directory)):
                if entry.name.startswith(("unpacking-", "leaving-")) and entry.stat().st_mtime < newest - age:
                    shutil.rmtree(entry.path, ignore_errors=True)

    def close(self) -> None:
        """Lets go of all."""
        for sha256 in list(self._held):
            self._let_go(sha256)

    def _take_away(self, name: str) -> bool:
        folder = self._directory / name
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another worker uses it
            return False
        else:
            leaving = Path(tempfile.mkdtemp(prefix="leaving-", dir=self._directory))
            folder.rename(leaving / name)  # gone as a whole, so that nobody imports half of it
        finally:
            os.close(lock)
        shutil.rmtree(leaving, ignore_errors=True)
        return True

    def _let_go(self, sha256: str) -> None:
        lock = self._held.pop(sha256, None)
        if lock is not None:
            os.close(lock)


def flush_all(folder: Path) -> None:
    """Waits until all files below a folder, and their names, are on disk."""
    for here, _, names in os.walk(folder):
        for name in (*names, "."):
            flush(Path(here) / name)


def _is_at(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(folder))
    except FileNotFoundError:
        return False


def _size(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(here) / name).stat().st_size
    return total
