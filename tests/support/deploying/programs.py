"""kubectl, which has kustomize inside, and helm: built with Go, kept outside the checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MODULE = Path(__file__).parent / "programs"
CACHE = Path(os.environ.get("VOLERY_TEST_CACHE") or Path.home() / ".cache" / "volery-tests") / "deploying"
VERSION = "v1.36.2"


@dataclass(frozen=True, slots=True)
class Tools:
    """Where they are."""

    directory: Path

    def run(
        self, program: str, *arguments: str, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of them to its end, whatever that is."""
        return subprocess.run(
            [str(self.directory / program), *arguments],
            input=given,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )


@cache
def tools() -> Tools:
    """Both, built where they are not there yet: some minutes the first time."""
    go = shutil.which("go")
    if go is None:
        raise LookupError("Go builds kubectl and helm; it is not installed")
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    directory = CACHE / digest.hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            partial = directory.with_suffix(".partial")
            print("building kubectl and helm; this takes minutes, and is kept", file=sys.stderr)
            names = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
            flags = " ".join(["-s -w", *(f"-X {name}.gitVersion={VERSION}" for name in names)])
            command = [go, "build", "-C", str(MODULE), "-mod=readonly", "-trimpath", "-ldflags", flags]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
            subprocess.run([*command, "-o", f"{partial}/", "tool"], check=True, env=environment)
            partial.rename(directory)
    return Tools(directory)
