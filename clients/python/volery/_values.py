"""Values on the way between a program and a server.

Inputs are turned into literals by the annotations of the entity where it is at hand, else by the types that
the server tells; large ones go to the object store first. Outputs come back the same way. A program that
cannot reach the object store itself goes through the server's data service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from volery._literals import decode, decode_map, encode, encode_map, values
from volery._literals.references import references
from volery._literals.values import Literal
from volery._plain_values import UnfitValueError, literal, plain
from volery.errors import NotFoundError, StorageError
from volery.storage import Stored, Workspace, is_registered
from volery.types.engine import ValueMismatch

if TYPE_CHECKING:
    from volery._interface import Interface
    from volery._wire_types import WireInterface

SURELY_INLINE = 4 * 1024
"""Values below this size are never offloaded, so that a small call asks the server for nothing."""


class Transfer(Protocol):
    """What carries bytes to and from a server."""

    def upload(self, content: bytes) -> str:
        """Store bytes; where they lie."""

    def upload_file(self, source: Path) -> Stored:
        """Store a file; where it lies."""

    def download(self, uri: str) -> bytes:
        """Read what a URI refers to."""

    def download_file(self, uri: str, target: Path) -> None:
        """Read what a URI refers to into a file."""

    def inline_limit(self) -> int:
        """The size in bytes above which a value is kept in the object store."""


class RemoteWorkspace(Workspace):
    """A workspace whose objects lie in a server's store.

    Attributes:
        reaches_files: whether `file://` addresses of the server are files of this machine.
    """

    def __init__(self, transfer: Transfer, *, reaches_files: bool) -> None:
        super().__init__()
        self._transfer = transfer
        self.reaches_files = reaches_files

    @property
    def can_store(self) -> bool:
        """Always: the server stores."""
        return True

    def put(self, name: str, data: bytes) -> Stored:
        """Upload bytes."""
        return Stored(self._transfer.upload(data), len(data), hashlib.sha256(data).hexdigest())

    def put_file(self, source: Path, uri: str = "") -> Stored:
        """Upload a file; the server chooses where it lies."""
        return self._transfer.upload_file(source)

    def read(self, uri: str) -> bytes:
        """Read an object, through the server where it is out of reach."""
        if not self._is_remote(uri):
            return super().read(uri)
        try:
            return self._transfer.download(uri)
        except NotFoundError as problem:
            raise StorageError(f"cannot read {uri}: {problem.message}") from problem

    def local(self, uri: str, sha256: str = "") -> Path:
        """A path where an object can be read, fetched if need be."""
        if not self._is_remote(uri):
            return super().local(uri, sha256)
        name = Path(urlsplit(uri).path).name or "object"
        place = self.scratch() / hashlib.sha256(uri.encode()).hexdigest()[:16] / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._transfer.download_file(uri, place)
            except NotFoundError as problem:
                raise StorageError(f"cannot read {uri}: {problem.message}") from problem
        return place

    def fetch(self, value: values.OffloadedValue) -> Literal:
        """Read a value that was too large to travel."""
        return decode(self.read(value.uri))

    def store(self, path: Path) -> values.BlobValue:
        """Upload a local file, to be passed as an input."""
        stored = self.put_file(path)
        return values.BlobValue(uri=stored.uri, size_bytes=stored.size_bytes, sha256=stored.sha256)

    def _is_remote(self, uri: str) -> bool:
        scheme = urlsplit(uri).scheme
        if scheme == "file":
            return not self.reaches_files
        return scheme in ("s3", "gs", "az") and not is_registered(scheme)


class Reader:
    """Turns outputs into Python values."""

    def __init__(self, workspace: RemoteWorkspace, interface: Interface | None = None) -> None:
        self._workspace = workspace
        self._interface = interface

    def result(self, outputs: bytes) -> Any:
        """What the function would have returned.

        Without its annotations: the one value there is, None where there is none, else a dict by name.
        """
        literals = decode_map(outputs)
        if self._interface is not None:
            typed = {
                output.name: output.converter.from_literal(literals[output.name], self._workspace)
                for output in self._interface.outputs
            }
            return self._interface.result_of(typed)
        named = {name: plain(each, self._workspace.fetch) for name, each in literals.items()}
        if not named:
            return None
        return named["o0"] if set(named) == {"o0"} else named

    def plain(self, literals: bytes) -> dict[str, Any]:
        """Values by name, without annotations."""
        return {name: plain(each, self._workspace.fetch) for name, each in decode_map(literals).items()}


def literals_by_annotation(
    given: Mapping[str, Any], interface: Interface, workspace: RemoteWorkspace, label: str
) -> dict[str, Literal]:
    """Inputs by the annotations of a function.

    Raises:
        UnfitValueError: when there is no such input, or a value does not fit; all problems at once.
    """
    problems = _unknown(given, list(interface.inputs))
    literals: dict[str, Literal] = {}
    for name, value in given.items():
        if name in interface.inputs:
            try:
                literals[name] = interface.inputs[name].converter.to_literal(value, workspace)
            except ValueMismatch as problem:
                problems.append(f"input {name}: {problem}")
    _refuse(problems, label)
    return literals


def literals_by_type(
    given: Mapping[str, Any], interface: WireInterface, workspace: RemoteWorkspace, label: str
) -> dict[str, Literal]:
    """Inputs by the types that a server tells.

    Raises:
        UnfitValueError: when there is no such input, or a value does not fit; all problems at once.
    """
    declared = {variable.name: variable.type for variable in interface.inputs}
    problems = _unknown(given, list(declared))
    literals: dict[str, Literal] = {}
    for name, value in given.items():
        if name in declared:
            try:
                literals[name] = literal(value, declared[name], workspace.store)
            except UnfitValueError as problem:
                problems.append(f"input {name}: {problem}")
    _refuse(problems, label)
    return literals


def serialised(literals: Mapping[str, Literal], transfer: Transfer) -> bytes:
    """A LiteralMap; values above the server's limit are uploaded and referred to."""
    parts = {}
    for name, each in literals.items():
        data = encode(each)
        if len(data) > SURELY_INLINE and len(data) > transfer.inline_limit():
            count = len(each.value) if each.kind == values.COLLECTION else 0
            offloaded = values.OffloadedValue(
                transfer.upload(data), len(data), hashlib.sha256(data).hexdigest(), count, references(each)
            )
            data = encode(Literal(values.OFFLOADED, offloaded, each.hash))
        parts[name] = data
    return encode_map(parts)


def _unknown(given: Mapping[str, Any], known: list[str]) -> list[str]:
    names = ", ".join(known) or "none"
    return [f"there is no input {name}; the inputs are: {names}" for name in given if name not in known]


def _refuse(problems: list[str], label: str) -> None:
    if problems:
        raise UnfitValueError(f"{label}: " + "; ".join(problems))
