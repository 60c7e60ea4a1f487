"""What a case of the conformance suite is given: a launcher with its surroundings."""

from __future__ import annotations

import hashlib
import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from support.launching.gates import Gate, Gates
from support.launching.harness import Harness
from volery._bundle import pack, source_of_file
from voleryidl.core.v1.task_pb2 import CodeBundle, TaskTemplate

TASKS = Path(__file__).with_name("tasks")
MODULE = "played"


class Store:
    """The installation's object store: a directory of this machine.

    Attributes:
        directory: where it is.
        uri: by which the installation knows it.
        bundle: the tasks, as users send theirs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.uri = directory.as_uri()
        packed = pack([source_of_file(TASKS / f"{name}.py", TASKS) for name in (MODULE, "broken")])
        self.bundle = self.keep_bundle(packed.content)

    def keep_bundle(self, content: bytes) -> CodeBundle:
        """Puts a code bundle where all find it."""
        made = CodeBundle(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), format="zip")
        place = self.place(f"{self.uri}/blobs/{made.sha256[:2]}/{made.sha256}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return made

    def place(self, uri: str) -> Path:
        """The file of an object."""
        assert uri.startswith(f"{self.uri}/"), uri
        return self.directory / uri.removeprefix(f"{self.uri}/")


def unsafe_bundle() -> bytes:
    """A code bundle that would write outside of its directory."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("../played.py", "")
    return made.getvalue()


class Stage(ABC):
    """A launcher on which cases are played at once, and what it stands on.

    Attributes:
        harness: of the launcher.
        store: where large values and code lie.
        gates: where attempts wait for the case.
        many: how many attempts at a time are a number that tells something.
        running_limit: seconds of running within which an attempt has surely begun.
    """

    harness: Harness
    store: Store
    gates: Gates
    many: int
    running_limit: float

    def gate(self) -> Gate:
        """A gate that attempts can come to."""
        return self.gates.gate()

    @abstractmethod
    def another(self) -> AbstractAsyncContextManager[Harness]:
        """A launcher of the same installation for one case alone, which may stop it."""

    @abstractmethod
    def crowded(self) -> AbstractAsyncContextManager[Harness]:
        """A launcher that has no place for any attempt."""

    @abstractmethod
    async def keep_secrets(self, group: str, values: Mapping[str, str]) -> None:
        """Puts secrets where the installation's tasks find theirs."""

    @abstractmethod
    def mortal(self, task: TaskTemplate) -> TaskTemplate:
        """A task in whose process a SIGKILL of its own takes effect."""
