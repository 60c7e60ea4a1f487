"""This module brings the code of a task into its pod: fetched, verified, and unpacked with care.

The rules are those of the worker, which unpacks the same bundles for its own processes; a test holds the two
equal. What would write outside of its directory, fill the disk, or mean something else on another file
system is refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

from volery._pod.contract import Bundle
from volery.storage import Workspace

_PIECE: Final = 1 << 20
_MOST_OF_A_NAME: Final = 255
_MOST_OF_A_PATH: Final = 1024
_UNREMARKABLE: Final = 1024 * 1024
"""Below this size no ratio is a bomb: a file of zeros compresses a thousand times."""

_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class BundleRefused(Exception):
    """A bundle is not what it should be, or not safe to unpack. Another attempt would not help."""


def bring(bundle: Bundle, directory: str, workspace: Workspace) -> str:
    """The directory of a bundle's files, below one that is there.

    Raises:
        BundleRefused: see there.
        StorageError: it cannot be fetched.
        OSError: it cannot be kept here.
    """
    size, unpacked, members, ratio = bundle.limits
    if bundle.size > size:
        raise _too_much("size", size, f"the bundle has {bundle.size} bytes")
    archive = workspace.local(bundle.uri)
    _verify(archive, bundle)
    target = os.path.join(directory, "code")
    os.mkdir(target)
    try:
        with zipfile.ZipFile(archive) as opened:
            check_archive(opened, unpacked, members, ratio)
            opened.extractall(target)  # every member was checked above
    except _DAMAGED as error:
        # Damaged, encrypted, or packed in a way that this Python cannot read.
        raise BundleRefused(f"it cannot be unpacked: {error}") from error
    if archive.is_relative_to(directory):  # fetched for this; what is a file of the store stays
        archive.unlink()
    return target


def _verify(archive: Path, bundle: Bundle) -> None:
    digest = hashlib.sha256()
    with archive.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != bundle.size:
            raise BundleRefused(f"bundle {bundle.sha256} has {size} bytes, not {bundle.size}")
        while piece := stream.read(_PIECE):
            digest.update(piece)
    if digest.hexdigest() != bundle.sha256:
        raise BundleRefused(f"the content of bundle {bundle.sha256} has another hash")


def check_archive(archive: zipfile.ZipFile, unpacked: int, most_members: int, ratio: int) -> None:
    """Refuses archives that would write outside their directory, fill the disk, or are not what they seem.

    Raises:
        BundleRefused: a member has an absolute path, climbs with `..`, has a name that not every system
            takes, is a link or a device, or lies where another one does; or all of them together are more
            than a limit.
    """
    members = archive.infolist()
    if len(members) > most_members:
        raise _too_much("members", most_members, f"the bundle has {len(members)} members")
    taken: dict[str, str] = {}
    for member in members:
        _check_member(member)
        _take(member, taken)
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > unpacked:
        raise _too_much("unpacked", unpacked, f"the bundle unpacks to {total} bytes")
    if total > _UNREMARKABLE and total > ratio * max(1, packed):
        raise _too_much("ratio", ratio, f"the bundle unpacks to {total} bytes from {packed}")


def _check_member(member: zipfile.ZipInfo) -> None:
    shown = repr(member.filename[:120])
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in member.filename.split("/")[0]:
        raise BundleRefused(f"bundle member {shown} leaves the bundle's directory")
    if "\\" in member.orig_filename or not member.orig_filename.isprintable():
        raise BundleRefused(f"bundle member {shown} has a name that not every system takes")
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in path.parts]
    if max(lengths, default=0) > _MOST_OF_A_NAME or sum(lengths) + len(lengths) > _MOST_OF_A_PATH:
        raise BundleRefused(f"bundle member {shown} has too long a name")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise BundleRefused(f"bundle member {shown} is a link")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BundleRefused(f"bundle member {shown} is neither a file nor a directory")


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
            raise BundleRefused(f"two members of the bundle lie in one place: {other} and {meant}")
        taken[place] = meant


def _too_much(name: str, limit: int, what: str) -> BundleRefused:
    return BundleRefused(
        f"{what}; bundle_{name}_limit allows {limit}. Leave out what the tasks do not import, or raise the"
        " worker's setting"
    )
