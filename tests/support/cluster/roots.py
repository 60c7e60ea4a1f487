"""Root file systems for images: BusyBox, a Python, and distributions of this checkout on it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

USER = 10001
"""Whom containers of our images run as."""

CHECKOUT = Path(__file__).resolve().parents[3]
TASK = ("clients/python",)
PLATFORM = (
    *("idl", "migrations", "controlplane[objects,postgres,otel]", "dataplane[objects,otel,kubernetes]"),
    *("clients/python", "clients/cli"),
)

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
UNUSED = (
    *(
        "site-packages",
        "dist-packages",
        "test",
        "tests",
        "idlelib",
        "tkinter",
        "turtledemo",
        "ensurepip",
        "lib2to3",
    ),
    *("config-*", "__pycache__", "*.a"),
)
ALWAYS = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libresolv.so.2", "libnss_dns.so.2", "libnss_files.so.2"),
    *("libm.so.6", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1"),
)
"""Libraries that wheels or the C library load by name."""


def busybox(root: Path, program: Path) -> None:
    """A shell and its commands; those that resolve names fail, as static programs of this C library do."""
    (root / "bin").mkdir(parents=True)
    shutil.copy2(program, root / "bin" / "busybox")
    told = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    for name in told.stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "env").symlink_to("/bin/busybox")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "home" / "volery").mkdir(parents=True)
    (root / "etc").mkdir()
    people = {"root": 0, "volery": USER, "nobody": 65534}
    shells = [f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n" for name, number in people.items()]
    (root / "etc" / "passwd").write_text("".join(shells))
    (root / "etc" / "group").write_text("".join(f"{name}:x:{number}:\n" for name, number in people.items()))


def python(root: Path) -> None:
    """The interpreter that runs the tests, without what programs do not need, below `/usr/local`."""
    local = root / "usr" / "local"
    prefix = Path(sys.base_prefix)
    program = Path(os.path.realpath(sys.executable))
    (local / "bin").mkdir(parents=True)
    shutil.copy2(program, local / "bin" / PYTHON)
    for name in ("python", "python3"):
        (local / "bin" / name).symlink_to(PYTHON)
    library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(library, local / "lib" / PYTHON, ignore=shutil.ignore_patterns(*UNUSED))
    (local / "lib" / PYTHON / "site-packages").mkdir()
    for needed in sorted(_libraries([program, *(library / "lib-dynload").glob("*.so")])):
        inside = (
            local / needed.relative_to(prefix) if _below(needed, prefix) else root / str(needed).lstrip("/")
        )
        inside.parent.mkdir(parents=True, exist_ok=True)
        if not inside.exists():
            shutil.copy2(needed.resolve(), inside)
    etc = root / "etc"
    places = sorted({str(found.parent) for found in _libraries([program])} | {"/usr/local/lib"})
    (etc / "ld.so.conf").write_text("\n".join(places) + "\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    _bash(root)
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.exists():
        (etc / "ssl" / "certs").mkdir(parents=True)
        shutil.copy2(authorities, etc / "ssl" / "certs")
    zones = Path("/usr/share/zoneinfo")
    if zones.is_dir():
        shutil.copytree(zones, root / "usr" / "share" / "zoneinfo", symlinks=True)
    subprocess.run(["ldconfig", "-r", str(root)], check=True)
    _compile(root, local / "lib" / PYTHON)


def _bash(root: Path) -> None:
    """The machine's bash, which shell tasks run with: the image of tasks has one."""
    bash = shutil.which("bash")
    if bash is None:
        return
    for needed in [Path(bash), *_libraries([Path(bash)])]:
        inside = root / ("bin/bash" if needed.name == "bash" else str(needed).lstrip("/"))
        inside.parent.mkdir(parents=True, exist_ok=True)
        if not inside.exists():
            shutil.copy2(needed.resolve(), inside)


def installed(root: Path, requirements: Sequence[str]) -> None:
    """Distributions on top of `python`, with what they need."""
    site = root / "usr" / "local" / "lib" / PYTHON / "site-packages"
    site.mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "-q",
        "-p",
        sys.executable,
        "--target",
        str(site),
    ]
    # As they are now, not as they were when last built; copied, where the workspace would have them linked.
    subprocess.run([*command, "--reinstall", "--no-sources", *requirements], check=True)
    commands = root / "usr" / "local" / "bin"
    commands.mkdir(parents=True)
    for script in (site / "bin").iterdir() if (site / "bin").is_dir() else []:
        target = commands / script.name
        shutil.copy2(script, target)
        content = target.read_bytes()
        if content.startswith(b"#!"):
            # The interpreter of the machine, in its short form or in the one for long paths.
            body = re.sub(rb"\A#!/bin/sh\n'''exec' [^\n]*\n' '''\n|\A#![^\n]*\n", b"", content)
            target.write_bytes(f"#!/usr/local/bin/{PYTHON}\n".encode() + body)
    shutil.rmtree(site / "bin", ignore_errors=True)
    _compile(root, site)


def digest(requirements: Iterable[str]) -> str:
    """Of an interpreter and what would be installed on it; changes with any file of the checkout."""
    seen = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    seen.update(Path(__file__).read_bytes())
    for requirement in requirements:
        seen.update(requirement.encode())
        directory = Path(requirement.partition("[")[0])
        if not directory.is_dir():
            continue
        for file in sorted(directory.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc":
                seen.update(f"{file.relative_to(directory)}\0".encode())
                seen.update(file.read_bytes())
    return seen.hexdigest()[:16]


def in_checkout(names: Iterable[str]) -> list[str]:
    return [str(CHECKOUT / name) for name in names]


def _compile(root: Path, below: Path) -> None:
    # By hash and unchecked, since archives keep no times; an image is read-only anyway.
    command = [sys.executable, "-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Some distributions carry templates that are no Python.
    subprocess.run(
        [*command, "-s", str(root), str(below)], check=False, env=environment, stdout=subprocess.DEVNULL
    )


def _libraries(objects: Iterable[Path]) -> set[Path]:
    """What the loader finds for programs and modules, and the loader itself."""
    needed: set[Path] = set()
    told = subprocess.run(["ldd", *map(str, objects)], check=False, capture_output=True, text=True)
    for line in told.stdout.splitlines():
        if line.startswith("\t"):
            needed.update(Path(word) for word in line.split() if word.startswith("/"))
    places = {library.parent for library in needed}
    needed.update(place / name for place in places for name in ALWAYS if (place / name).exists())
    return needed


def _below(path: Path, directory: Path) -> bool:
    # A system's own Python has the prefix `/usr`, whose libraries stay where its loader looks for them.
    return directory != Path("/usr") and path.is_relative_to(directory)
