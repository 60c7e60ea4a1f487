"""References: which objects of the store a message refers to, as paths below the store's root.

An object is referred to by URI (files, tables, values too large to travel) or, for code bundles, by hash.
A value too large to travel names what its own content refers to, since that cannot be seen from outside.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf.message import Message
from voleryidl.core.v1.literals_pb2 import BlobValue, DatasetValue, Literal, LiteralMap, OffloadedValue
from voleryidl.core.v1.task_pb2 import CodeBundle

UPLOADS = "blobs"
EXECUTIONS = "executions"
LOGS = "logs"


def upload(sha256: str) -> str:
    """Where uploaded content lies."""
    return f"{UPLOADS}/{sha256[:2]}/{sha256}"


def execution_objects(project: str, domain: str, name: str, uid: str) -> str:
    """Where an execution's attempts put what they make."""
    return f"{EXECUTIONS}/{project}/{domain}/{name}/{uid[:8]}"


def execution_logs(key: int) -> str:
    """Where an execution's long logs lie."""
    return f"{LOGS}/{key}"


def ancestors(target: str) -> list[str]:
    """A path and all above it, to the root itself, which is the empty path."""
    parts = target.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)] + [""]


class References:
    """Finds references below one root.

    Args:
        root: the URI of the object store.
    """

    def __init__(self, root: str) -> None:
        self._root = _normal(root)
        self._sign = f"{root.partition('://')[0]}://".encode() if root else b"://"

    def of_literal(self, content: bytes) -> list[str]:
        """The targets of a serialised Literal; nearly all have none, and are told by one look."""
        return self.of(Literal.FromString(content)) if self._sign in content else []

    def of_map(self, content: bytes) -> list[str]:
        """The targets of a serialised LiteralMap."""
        return self.of(LiteralMap.FromString(content)) if self._sign in content else []

    def of(self, message: Message) -> list[str]:
        """The targets of any message, each once."""
        return list(dict.fromkeys(self._found(message)))

    def target(self, uri: str) -> str | None:
        """The path below the root that a URI names; None for what lies elsewhere."""
        path = _normal(uri)
        if path is None or self._root is None:
            return None
        root = self._root
        if path == root:
            return ""
        return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else None

    def _found(self, message: Message) -> Iterator[str]:
        match message:
            case BlobValue() | DatasetValue():
                yield from self._targets([message.uri])
            case OffloadedValue():
                yield from self._targets([message.uri, *message.references])
            case CodeBundle():
                if message.sha256:
                    yield upload(message.sha256)
            case _:
                for field, value in message.ListFields():
                    if field.message_type is not None:
                        yield from self._below(field, value)

    def _below(self, field: Any, value: Any) -> Iterator[str]:
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    yield from self._found(each)
        elif field.is_repeated:
            for each in value:
                yield from self._found(each)
        else:
            yield from self._found(value)

    def _targets(self, uris: Sequence[str]) -> Iterator[str]:
        for uri in uris:
            target = self.target(uri)
            if target is not None:
                yield target


def _normal(uri: str) -> str | None:
    """A URI without the ways to write it differently."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if not parts.scheme:
        return None
    host = "" if parts.netloc == "localhost" else parts.netloc
    path = posixpath.normpath(unquote(parts.path)) if parts.path else "/"
    return f"{parts.scheme}://{host}{path}"
