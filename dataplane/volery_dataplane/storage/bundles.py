"""Code bundles, unpacked once and kept by content.

A bundle's directory is named by the hash of its archive, so two processes that unpack the same one agree;
it appears by a rename, whole or not at all, after its files are on disk. It is unpacked below `scratch`,
which a worker clears when it starts, so a kill leaves nothing for long. Archives come from whoever may
register, so what would write outside of its directory, fill the disk, or mean something else on another file
system is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from volery_dataplane.storage.shelf import Shelf, Used, flush_all
from volery_dataplane.worker.ports import BundleRefused

SCRAPS_AFTER = 3600.0
"""Seconds after which what an interrupted unpacking has left is removed."""

Fetch = Callable[[str, int], Awaitable[bytes]]
"""Gives an archive by its hash; raises BundleRefused when it has more bytes than the number given."""

_MOST_OF_A_NAME = 255
_MOST_OF_A_PATH = 1024
_UNREMARKABLE = 1024 * 1024
"""Below this size no ratio is a bomb: a file of zeros compresses a thousand times."""


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """What a bundle may be; the worker's settings of the same names say more.

    Attributes:
        size: bytes of the archive.
        unpacked: bytes of all its files.
        members: how many files and directories it has.
        ratio: how many times its size it may unpack to.
    """

    size: int = 256 * 1024 * 1024
    unpacked: int = 1024 * 1024 * 1024
    members: int = 20_000
    ratio: int = 200


class BundleCorrupt(BundleRefused):
    """A bundle's content does not have the hash it is known by, or its archive is not safe to unpack."""


class Bundles:
    """The bundles of one worker, below `directory`.

    Args:
        directory: where they stand, unpacked.
        fetch: gets an archive by its hash.
        scratch: where they are unpacked first; on the same file system.
        limits: what one may be.
        shelf_limit: bytes that all together may have, but for those in use.
        used: tells which are in use.
    """

    def __init__(
        self,
        directory: Path,
        fetch: Fetch,
        scratch: Path,
        limits: BundleLimits | None = None,
        shelf_limit: int = 2 * 1024 * 1024 * 1024,
        used: Used = frozenset,
    ) -> None:
        self._directory = directory
        self._scratch = scratch
        self._fetch = fetch
        self._limits = limits or BundleLimits()
        self._shelf = Shelf(directory, shelf_limit, used)
        self._shelf.clear_scraps(SCRAPS_AFTER)
        self._under_way: dict[str, asyncio.Task[Path]] = {}

    async def __call__(self, sha256: str) -> Path:
        """The directory of a bundle, fetched when it is not there; concurrent callers share one fetch.

        Raises:
            BundleCorrupt: see there.
        """
        found = self._shelf.take(sha256)
        if found is not None:
            return found
        target = self._directory / sha256
        task = self._under_way.get(sha256)
        if task is None:
            task = asyncio.create_task(self._bring(sha256, target))
            self._under_way[sha256] = task
            task.add_done_callback(lambda _: self._under_way.pop(sha256, None))
        return await asyncio.shield(task)

    async def _bring(self, sha256: str, target: Path) -> Path:
        content = await self._fetch(sha256, self._limits.size)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BundleCorrupt(f"the content of bundle {sha256} has another hash")
        await asyncio.to_thread(self._unpack, content, target)
        found = self._shelf.take(sha256)
        if found is None:
            raise BundleCorrupt(f"bundle {sha256} vanished from {self._directory}")
        await asyncio.to_thread(self._shelf.make_room)
        return found

    def _unpack(self, content: bytes, target: Path) -> Path:
        for place in (self._directory, self._scratch):
            place.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="unpacking-", dir=self._scratch))
        try:
            try:
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    check_archive(archive, self._limits)
                    archive.extractall(scratch)  # every member was checked above
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                # Damaged, encrypted, or packed in a way that this Python cannot read.
                raise BundleCorrupt(f"it cannot be unpacked: {error}") from error
            flush_all(scratch)  # power loss must not leave empty files under a name that promises content
            try:
                scratch.rename(target)
            except OSError:
                if not target.is_dir():  # else another worker was faster, with the same content
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target


def check_archive(archive: zipfile.ZipFile, limits: BundleLimits) -> None:
    """Refuses archives that would write outside their directory, fill the disk, or are not what they seem.

    Raises:
        BundleCorrupt: a member has an absolute path, climbs with `..`, has a name that not every system
            takes, is a link or a device, or lies where another one does; or all of them together are more
            than a limit.
    """
    members = archive.infolist()
    if len(members) > limits.members:
        raise _too_much("members", limits.members, f"the bundle has {len(members)} members")
    taken: dict[str, str] = {}
    total = packed = 0
    for member in members:
        _check_member(member)
        _take(member, taken)
        total += member.file_size
        packed += member.compress_size
    if total > limits.unpacked:
        raise _too_much("unpacked", limits.unpacked, f"the bundle unpacks to {total} bytes")
    if total > _UNREMARKABLE and total > limits.ratio * max(1, packed):
        raise _too_much("ratio", limits.ratio, f"the bundle unpacks to {total} bytes from {packed}")


def _check_member(member: zipfile.ZipInfo) -> None:
    shown = repr(member.filename[:120])
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in member.filename.split("/")[0]:
        raise BundleCorrupt(f"bundle member {shown} leaves the bundle's directory")
    if "\\" in member.orig_filename or not member.orig_filename.isprintable():
        raise BundleCorrupt(f"bundle member {shown} has a name that not every system takes")
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in path.parts]
    if max(lengths, default=0) > _MOST_OF_A_NAME or sum(lengths) + len(lengths) > _MOST_OF_A_PATH:
        raise BundleCorrupt(f"bundle member {shown} has too long a name")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BundleCorrupt(f"bundle member {shown} is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BundleCorrupt(f"bundle member {shown} is neither a file nor a directory")


def _take(member: zipfile.ZipInfo, taken: dict[str, str]) -> None:
    """Notes where a member lies; names that some file systems do not tell apart are one place."""
    parts = [part for part in PurePosixPath(member.filename).parts if part != "."]
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[:depth])
        place = unicodedata.normalize("NFC", name).casefold()
        is_file = depth == len(parts) and not member.is_dir()
        meant = f"the {'file' if is_file else 'directory'} {name}"
        other = taken.get(place)
        if other is not None and (is_file or other != meant):
            raise BundleCorrupt(f"two members of the bundle lie in one place: {other} and {meant}")
        taken[place] = meant


def _too_much(name: str, limit: int, what: str) -> BundleCorrupt:
    return BundleCorrupt(
        f"{what}; bundle_{name}_limit allows {limit}. Leave out what the tasks do not import, or raise the"
        " worker's setting"
    )
