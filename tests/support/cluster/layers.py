"""Container images as archives, made from directories without any registry or daemon."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BEGINNING = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Layer:
    """An uncompressed archive of files, and its digest."""

    archive: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image's containers start."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"


def pack(root: Path, archive: Path, owned: Iterable[str] = (), owner: int = 0) -> Layer:
    """Packs a directory, the same bytes for the same files; `owned` belong to `owner`, else to root."""
    places = tuple(owned)

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        own = any(member.name == place or member.name.startswith(place + "/") for place in places)
        member.uid = member.gid = owner if own else 0
        member.uname = member.gname = ""
        member.mtime = 0
        return member

    partial = archive.with_suffix(f".{os.getpid()}")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as packed:
        for name in sorted(os.listdir(root)):
            packed.add(root / name, name, filter=plain)
    partial.replace(archive)
    return layer(archive)


def layer(archive: Path) -> Layer:
    """One that was packed before."""
    with archive.open("rb") as packed:
        return Layer(archive, hashlib.file_digest(packed, "sha256").hexdigest())


def write(archive: Path, references: Sequence[str], layers: Sequence[Layer], recipe: Recipe) -> None:
    """Writes an image's archive, in the form of `docker save`; the image gets all these names."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **recipe.environment}
    config: dict[str, object] = {
        "Entrypoint": list(recipe.entrypoint) or None,
        "Cmd": list(recipe.command) or None,
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "WorkingDir": recipe.directory,
    }
    if recipe.user:
        config["User"] = recipe.user
    described = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": BEGINNING,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one.digest}" for one in layers]},
            "history": [{"created": BEGINNING, "created_by": "a test"} for _ in layers],
        }
    ).encode()
    name = hashlib.sha256(described).hexdigest() + ".json"
    manifest = [
        {
            "Config": name,
            "RepoTags": list(references),
            "Layers": [f"{one.digest}/layer.tar" for one in layers],
        }
    ]
    with tarfile.open(archive, "w") as packed:
        for one in layers:
            packed.add(one.archive, f"{one.digest}/layer.tar")
        for path, content in ((name, described), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
