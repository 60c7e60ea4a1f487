"""This module lays the inputs of a container task as files.

A plain value is a file with its text; a value with parts is a file with JSON, with and without `.json`
at its name; a file or table is itself, a directory is itself. `inputs.json` and `inputs.pb` have everything.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from volery._literals import decode, values
from volery._literals.values import Literal
from volery._pod.texts import TEXTUAL, spelled
from volery.errors import StorageError
from volery.storage import Workspace

WHOLE: Final = ("inputs.json", "inputs.pb")
_PIECE: Final = 1 << 20


class NotLaid(Exception):
    """An input cannot be laid as a file."""


class InputFiles:
    """The inputs of one attempt, below a directory.

    Args:
        directory: where they go.
        workspace: fetches; into a directory on the same file system.
    """

    def __init__(self, directory: Path, workspace: Workspace) -> None:
        self._directory = directory
        self._scratch = workspace.scratch()
        self._workspace = workspace

    def lay(self, inputs: Mapping[str, Literal], content: bytes) -> None:
        """Lays all inputs.

        Args:
            inputs: by name.
            content: the same, serialised.

        Raises:
            NotLaid: where a name is no name, or what was fetched is not what was promised.
            StorageError: where something cannot be fetched.
        """
        whole = {name: self._lay(name, literal) for name, literal in sorted(inputs.items())}
        self._write("inputs.pb", content)
        self._write("inputs.json", _json(whole))

    def _lay(self, name: str, literal: Literal) -> Any:
        """Lays one input; answers what JSON has of it."""
        if not name.isidentifier():
            raise NotLaid(f"an input cannot be called {name!r}")
        literal = self._resolved(literal)
        if literal.kind == values.NONE:
            return None  # there is no file, as there is no value
        if literal.kind in TEXTUAL:
            self._write(name, spelled(literal).encode("utf-8", "surrogatepass"))
        elif literal.kind == values.BINARY:
            self._write(name, literal.value.value)
        elif literal.kind in (values.BLOB, values.DATASET):
            return self._bring(literal, self._directory / name)
        told = self._told(literal, f"{name}.files", [0])
        if literal.kind not in TEXTUAL and literal.kind != values.BINARY:
            self._write(name, _json(told))
            if f"{name}.json" not in WHOLE:
                os.link(self._directory / name, self._directory / f"{name}.json")
        return told

    def _resolved(self, literal: Literal) -> Literal:
        """What a literal stands for: the variant of a union, a value that is kept elsewhere."""
        while True:
            if literal.kind == values.UNION:
                literal = literal.value.value
            elif literal.kind == values.OFFLOADED:
                kept: values.OffloadedValue = literal.value
                content = self._workspace.read(kept.uri)
                if hashlib.sha256(content).hexdigest() != kept.sha256:
                    raise NotLaid(f"what lies at {kept.uri} is not what was put there: another hash")
                literal = decode(content)
            else:
                return literal

    def _told(self, literal: Literal, files: str, count: list[int]) -> Any:
        """What JSON has of a literal; files in it are brought below `files`, and told by their paths."""
        literal = self._resolved(literal)
        kind, value, _ = literal
        if kind == values.FLOAT:
            return _finite(value)
        if kind in (values.DATETIME, values.DURATION):
            return spelled(literal)
        if kind == values.STRUCT:
            return _finite(value)
        if kind in TEXTUAL:
            return value
        if kind == values.COLLECTION:
            return [self._told(part, files, count) for part in value]
        if kind in (values.MAP, values.RECORD):
            return {name: self._told(part, files, count) for name, part in value.items()}
        if kind == values.BINARY:
            import base64

            return base64.b64encode(value.value).decode()
        if kind == values.ERROR:
            return value._asdict()
        if kind in (values.BLOB, values.DATASET):
            count[0] += 1
            target = self._directory / files / f"{count[0]}-{_last_part(value.uri)}"
            target.parent.mkdir(exist_ok=True)
            return self._bring(literal, target)
        return None

    def _bring(self, literal: Literal, target: Path) -> str:
        """Lays a file, directory or table; answers its path."""
        value = literal.value
        if literal.kind == values.BLOB and value.directory:
            source = self._workspace.local_directory(value.uri, is_empty=not value.size_bytes)
        else:
            source = self._workspace.local(value.uri)
        ours = source.is_relative_to(self._scratch)  # fetched for this, so it need not be copied again
        if source.is_dir():
            if ours:
                source.rename(target)
            else:
                shutil.copytree(source, target, copy_function=shutil.copyfile)
            return str(target)
        digest = _copied(source, None if ours else target)
        if ours:
            source.rename(target)
            target.chmod(0o644)
        if value.sha256 and value.sha256 != digest:
            raise NotLaid(f"what lies at {value.uri} is not what was put there: another hash")
        return str(target)

    def _write(self, name: str, content: bytes) -> None:
        with open(self._directory / name, "xb") as file:
            file.write(content)


def _copied(source: Path, target: Path | None) -> str:
    """Copies a file, or only reads it; answers the SHA-256 of its content."""
    digest = hashlib.sha256()
    try:
        with source.open("rb") as origin, open(target or os.devnull, "xb" if target else "wb") as copy:
            while piece := origin.read(_PIECE):
                digest.update(piece)
                copy.write(piece)
    except OSError as error:
        raise StorageError(f"cannot copy {source} to {target}: {error.strerror}") from error
    return digest.hexdigest()


def _last_part(uri: str) -> str:
    """A name for a file that is told by its URI; never one that leaves the directory."""
    from urllib.parse import unquote

    name = unquote(uri.rstrip("/").rpartition("/")[2])
    cleaned = "".join(sign if sign.isprintable() and sign not in "/\\:" else "_" for sign in name)
    return cleaned[-100:].lstrip(".") or "file"


def _finite(value: Any) -> Any:
    """A value as JSON can have it: numbers that are none are their texts."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8", "surrogatepass")
