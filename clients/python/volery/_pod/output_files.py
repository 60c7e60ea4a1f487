"""This module makes the outputs of a container task out of the files that its program left.

The files are other people's: what is not an ordinary file or directory below the output directory is refused
and never followed. Everything that is wrong is told at once, by output.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from volery._literals import types, values
from volery._literals.types import LiteralType, Variable
from volery._literals.values import Literal
from volery._offloading import written
from volery._plain_values import UnfitValueError
from volery._pod.texts import read_simple
from volery.storage import Workspace

ERROR_FILE: Final = "_ERROR"
WHOLE: Final = "outputs.json"
READ_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of a file that is read as a value."""
ENTRIES_LIMIT: Final = 100_000
"""Files and directories of one directory that is an output."""
READY: Final = ".volery-ready"
"""A file of the platform's own: it says that somebody waits for the program's end."""
_NOT_FINITE: Final = frozenset({"inf", "-inf", "nan", "Infinity", "-Infinity", "NaN"})
_SHOWN: Final = 20


class Missing(Exception):
    """Outputs have no file."""


class Unfit(Exception):
    """Outputs are not what is declared."""


class OutputFiles:
    """The outputs of one attempt, below a directory.

    Args:
        directory: where the program has left them.
        workspace: where files and large values are put.
        limit: outputs of more bytes are put there.
    """

    def __init__(self, directory: Path, workspace: Workspace, limit: int) -> None:
        self._directory = directory
        self._workspace = workspace
        self._limit = limit

    def collect(self, declared: tuple[Variable, ...]) -> dict[str, bytes]:
        """The serialised outputs by name.

        Raises:
            Unfit: where some are not what is declared; says which, what is declared, and what was found.
            Missing: where some are not there, and nothing else is wrong.
            StorageError: where something cannot be stored.
        """
        outputs: dict[str, bytes] = {}
        missing, unfit = [], []
        whole = self._whole()
        for each in declared:
            try:
                literal = self._output(each, whole)
            except UnfitValueError as error:
                unfit.append(f"output {each.name} ({each.type}): {error}")
            except RecursionError:
                unfit.append(f"output {each.name} ({each.type}): its parts lie too deep in one another")
            else:
                if literal is None:
                    missing.append(f"output {each.name} ({each.type})")
                else:
                    outputs[each.name] = written(each.name, literal, self._workspace, self._limit)
        if missing:
            text = f"{', '.join(missing)}: there is no such file in {self._directory}; {self._found()}"
            if not unfit:
                raise Missing(text)
            unfit.append(text)
        if unfit:
            raise Unfit("\n".join(unfit))
        return outputs

    def error(self) -> dict[str, Any] | None:
        """What the program says of its failure; None where it says nothing.

        The file holds a text, or JSON: an object with `message`, and if it likes `code`, `recoverable`
        and `trace`.
        """
        path = self._directory / ERROR_FILE
        if not os.path.lexists(path):
            return None
        try:
            text = self._text(path)
        except UnfitValueError as error:
            return {"message": f"{ERROR_FILE} cannot be read: {error}"}
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict) and isinstance(told.get("message"), str):
            return told
        return {"message": text.strip() or f"the program left an empty {ERROR_FILE}"}

    def _output(self, declared: Variable, whole: Mapping[str, Any]) -> Literal | None:
        plain, as_json = self._directory / declared.name, self._directory / f"{declared.name}.json"
        is_plain = os.path.lexists(plain)
        is_json = os.path.lexists(as_json) and as_json.name != WHOLE
        if is_plain and is_json:
            raise UnfitValueError(f"there are both {plain.name} and {as_json.name}; leave one")
        if is_plain:
            return self._of_file(plain, declared.type)
        if is_json:
            return self._of_json(self._parsed(as_json), declared.type)
        if declared.name in whole:
            return self._of_json(whole[declared.name], declared.type)
        return self._nothing(declared.type)

    def _nothing(self, type_: LiteralType) -> Literal | None:
        """What stands for no file: the value "nothing", where that is one of the type."""
        if type_ == types.NONE:
            return values.NOTHING
        if isinstance(type_, types.Union):
            for variant in type_.variants:
                if variant.type == types.NONE:
                    return Literal(values.UNION, values.UnionValue(variant.tag, values.NOTHING))
        return None

    def _of_file(self, path: Path, type_: LiteralType) -> Literal:
        match type_:
            case types.Blob(directory=True):
                return Literal(values.BLOB, self._put_directory(path, type_.format))
            case types.Blob():
                return Literal(values.BLOB, self._put_file(path, type_.format))
            case types.Dataset():
                return self._put_table(path, type_)
            case types.Binary(tag=tag):
                return Literal(values.BINARY, values.BinaryValue(self._bytes(path), tag))
            case types.Union():
                # "Nothing" is no file at all, not one that is empty.
                choices = [each for each in type_.variants if each.type != types.NONE]
                return self._chosen(choices, lambda each: self._of_file(path, each))
            case types.Simple(values.STRUCT) | types.Collection() | types.Mapping() | types.Record():
                return self._of_json(self._parsed(path), type_)
        text = self._text(path)
        if text.endswith("\n"):  # what `echo` adds
            text = text[:-1].removesuffix("\r")
        return self._simple(text, type_)

    def _of_json(self, value: Any, type_: LiteralType) -> Literal:
        match type_:
            case types.Union(variants=variants):
                return self._chosen(variants, lambda each: self._of_json(value, each))
            case types.Collection(element=element) if isinstance(value, list):
                return Literal(values.COLLECTION, [self._of_json(part, element) for part in value])
            case types.Mapping(value=element) if isinstance(value, dict):
                parts = {name: self._of_json(part, element) for name, part in value.items()}
                return Literal(values.MAP, parts)
            case types.Record() if isinstance(value, dict):
                return self._record(value, type_)
            case types.Blob() | types.Dataset() if isinstance(value, str):
                if "://" not in value:
                    return self._of_file(self._below(value), type_)
                if isinstance(type_, types.Dataset):
                    return Literal(values.DATASET, values.DatasetValue(value, type_.format))
                return Literal(values.BLOB, values.BlobValue(value, type_.format, type_.directory))
            case types.Blob() | types.Dataset():
                raise UnfitValueError(f"{_shown(value)} is neither a path below {self._directory} nor a URI")
            case types.Simple(values.INTEGER | values.BOOLEAN | values.NONE) if isinstance(value, str):
                raise UnfitValueError(f"{_shown(value)} is not {type_}")
            case types.Simple(values.FLOAT) if isinstance(value, str) and value not in _NOT_FINITE:
                raise UnfitValueError(f"{_shown(value)} is not {type_}")
        return self._simple(value, type_)

    def _simple(self, value: Any, type_: LiteralType) -> Literal:
        if type_ == types.ERROR:
            raise UnfitValueError(f"a value of type {type_} cannot be given here")
        return read_simple(value, type_)

    def _record(self, value: dict[str, Any], type_: types.Record) -> Literal:
        known = {field.name for field in type_.fields}
        if unknown := sorted(set(value) - known):
            raise UnfitValueError(f"{type_} has no field {', '.join(unknown)}")
        parts = {}
        for field in type_.fields:
            if field.name in value:
                try:
                    parts[field.name] = self._of_json(value[field.name], field.type)
                except UnfitValueError as error:
                    raise UnfitValueError(f"{field.name}: {error}") from None
            elif field.default is not None:
                parts[field.name] = field.default
            else:
                raise UnfitValueError(f"{type_} needs the field {field.name}")
        return Literal(values.RECORD, parts)

    def _chosen(self, choices: Iterable[types.Variant], read: Callable[[LiteralType], Literal]) -> Literal:
        """The variant that takes the value. Text is the last resort, since everything is text."""
        fits: list[tuple[types.Variant, Literal]] = []
        problems = []
        for variant in choices:
            try:
                fits.append((variant, read(variant.type)))
            except UnfitValueError as error:
                problems.append(str(error))
        if len(fits) > 1:
            fits = [each for each in fits if each[0].type != types.STRING] or fits
        if (
            len(fits) > 1
            and types.FLOAT in (kinds := [each[0].type for each in fits])
            and types.INTEGER in kinds
        ):
            fits = [each for each in fits if each[0].type != types.FLOAT]  # a whole number is an integer
        if not fits:
            raise UnfitValueError("; ".join(problems))
        if len(fits) > 1:
            raise UnfitValueError(f"it may be {' or '.join(str(each[0].type) for each in fits)}; make it one")
        variant, literal = fits[0]
        return Literal(values.UNION, values.UnionValue(variant.tag, literal))

    def _whole(self) -> Mapping[str, Any]:
        path = self._directory / WHOLE
        if not os.path.lexists(path):
            return {}
        try:
            found = self._parsed(path)
        except UnfitValueError as error:
            raise Unfit(f"{WHOLE}: {error}") from None
        if not isinstance(found, dict):
            raise Unfit(f"{WHOLE} is not an object with a value for each output")
        return found

    def _put_file(self, path: Path, format_: str) -> values.BlobValue:
        self._regular(path)
        stored = self._workspace.put_file(path)
        return values.BlobValue(stored.uri, format_, False, stored.size_bytes, stored.sha256)

    def _put_directory(self, path: Path, format_: str) -> values.BlobValue:
        uri, size = self._workspace.put_directory(path, self._files_below(path))
        return values.BlobValue(uri, format_, True, size)

    def _put_table(self, path: Path, type_: types.Dataset) -> Literal:
        columns = tuple(name for name, _ in type_.columns)
        format_ = type_.format or "parquet"
        put = self._put_directory if stat.S_ISDIR(_mode(path)) else self._put_file
        blob = put(path, format_)
        return Literal(
            values.DATASET,
            values.DatasetValue(blob.uri, format_, columns, 0, blob.size_bytes, blob.sha256),
        )

    def _files_below(self, root: Path) -> list[Path]:
        """The files of a directory, by their paths in it."""
        if not stat.S_ISDIR(_mode(root)):
            raise UnfitValueError(f"{root.name} is {_kind(_mode(root))}, not a directory")
        found: list[Path] = []
        entries = 0

        def refused(error: OSError) -> None:
            raise UnfitValueError(f"{error.filename} cannot be read: {error.strerror}")

        for place, directories, files in os.walk(root, onerror=refused):
            entries += len(directories) + len(files)
            if entries > ENTRIES_LIMIT:
                raise UnfitValueError(f"{root.name} has more than {ENTRIES_LIMIT} files; pack them into one")
            for name in directories:
                if not stat.S_ISDIR(mode := _mode(Path(place, name))):
                    raise UnfitValueError(f"{Path(place, name)} is {_kind(mode)}")
            for name in files:
                self._regular(Path(place, name))
                found.append(Path(place, name).relative_to(root))
        return sorted(found)

    def _below(self, text: str) -> Path:
        """A path that JSON names; it stays below the directory, and no part of it is a link."""
        path = Path(os.path.normpath(self._directory / text))
        root = Path(os.path.realpath(self._directory))
        inside = path.is_relative_to(self._directory) and path != self._directory
        if not inside or Path(os.path.realpath(path)) != root / path.relative_to(self._directory):
            raise UnfitValueError(f"{_shown(text)} does not lie below {self._directory}")
        if not os.path.lexists(path):
            raise UnfitValueError(f"there is no file {path}")
        return path

    def _regular(self, path: Path) -> int:
        """The size of an ordinary file that can be read."""
        mode = _mode(path)
        if not stat.S_ISREG(mode):
            raise UnfitValueError(f"{path.name} is {_kind(mode)}, not a file")
        if not os.access(path, os.R_OK):
            raise UnfitValueError(f"{path.name} may not be read by others; its mode is {stat.filemode(mode)}")
        return path.stat().st_size

    def _bytes(self, path: Path) -> bytes:
        size = self._regular(path)
        if size > READ_LIMIT:
            raise UnfitValueError(f"{path.name} has {size} bytes, {READ_LIMIT} are the most; declare a file")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                return file.read(READ_LIMIT)
        except OSError as error:
            raise UnfitValueError(f"{path.name} cannot be read: {error.strerror}") from None

    def _text(self, path: Path) -> str:
        try:
            return self._bytes(path).decode()
        except UnicodeDecodeError as error:
            raise UnfitValueError(f"{path.name} is not UTF-8: {error}") from None

    def _parsed(self, path: Path) -> Any:
        try:
            return json.loads(self._text(path))
        except ValueError as error:
            raise UnfitValueError(f"{path.name} is not JSON: {error}") from None

    def _found(self) -> str:
        try:
            names = sorted(set(os.listdir(self._directory)) - {READY})
        except OSError as error:
            return f"it cannot be listed: {error.strerror}"
        if not names:
            return "it is empty"
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"it has {', '.join(map(repr, names[:_SHOWN]))}{more}"


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError as error:
        raise UnfitValueError(f"{path} cannot be read: {error.strerror}") from None


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a file" if stat.S_ISREG(mode) else "neither a file nor a directory"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
