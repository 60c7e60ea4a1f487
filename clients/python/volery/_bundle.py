"""Bundle: the user's source as a content-addressed archive.

What a task needs to run elsewhere is the module it is defined in and every local module that is imported
from there, directly or not; imports are followed in the text, so that the result depends on the files alone
and not on what else this process happens to have loaded. `everything` takes the whole tree below the import
root instead, and `include` adds files by pattern (a query, a template).

The archive is the same, bit by bit, on every machine: sorted POSIX names, fixed times and modes, stored
without compression (implementations of deflate differ). Its SHA-256 is part of the default version.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import io
import os
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from volery.errors import BundleError

SIZE_LIMIT = 64 * 2**20
MIB = 2**20

SKIPPED_DIRECTORIES = frozenset(
    [
        *("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".ipynb_checkpoints"),
        *(".git", ".hg", ".svn", ".idea", ".vscode", ".eggs", "dist", "build", ".volery"),
        *(".venv", "venv", ".tox", ".nox", "node_modules", "site-packages"),
        *(".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh"),
    ]
)
"""Directories that are never source, or hold credentials."""

SKIPPED_FILES = (
    *("*.pyc", "*.pyo", "*.so", "*.whl", ".DS_Store", "Thumbs.db"),
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", ".pypirc", ".npmrc", ".pgpass"),
    *(".git-credentials", "credentials", "credentials.*", "*credentials*.json"),
    *("service-account*.json", "service_account*.json", "secrets.toml", "secrets.yaml", "secrets.yml"),
    *("secrets.json", ".htpasswd"),
)
"""Files that are made from source, or look like secrets."""


@dataclass(frozen=True, slots=True)
class Source:
    """A module of the user: its name, its file, and the directory its name begins at."""

    module: str
    path: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Bundle:
    """A packed archive.

    Attributes:
        content: the zip file.
        sha256: of the content, in hexadecimal.
        files: the names in the archive, sorted.
    """

    content: bytes
    sha256: str
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.content)


def source_of_file(path: Path, root: Path | None = None) -> Source:
    """The source in a file: its name begins at `root`, or else where the packages around it begin."""
    path = path.resolve()
    if path.suffix != ".py":
        raise BundleError(f"{path} is not a Python file")
    if root is None:
        root = path.parent
        while (root / "__init__.py").is_file() and root.parent != root:
            root = root.parent
    root = root.resolve()
    try:
        parts = list(path.relative_to(root).with_suffix("").parts)
    except ValueError:
        raise BundleError(f"{path} does not lie below {root}") from None
    if parts[-1] == "__init__":
        parts.pop()
    for part in parts:
        if not part.isidentifier():
            raise BundleError(f"{path} cannot be imported: {part!r} is not a Python name; rename it")
    return Source(".".join(parts), path, root)


def source_of_module(module: ModuleType) -> Source | None:
    """The source of an imported module; None for one that is installed, and so is not packed."""
    file = getattr(module, "__file__", None)
    if not file:
        raise BundleError(
            f"{module.__name__} has no file: tasks and workflows run in other processes, so they must be "
            "defined in a .py file, not typed into an interpreter or notebook cell"
        )
    path = Path(file).resolve()
    if _is_installed(path):
        return None
    name = module.__name__
    if name == "__main__":
        spec = module.__spec__
        if spec is None:
            return source_of_file(path)
        name = spec.name
    depth = name.count(".") + (1 if path.name == "__init__.py" else 0)
    return Source(name, path, path.parents[depth])


def pack(
    sources: Iterable[Source],
    *,
    include: Sequence[str] = (),
    everything: bool = False,
    size_limit: int = SIZE_LIMIT,
) -> Bundle:
    """Pack modules and what they import from their own roots.

    Args:
        sources: the modules to begin with.
        include: patterns of more files, relative to each root, for example `queries/*.sql`.
        everything: take all files below each root instead.
        size_limit: the largest archive, in bytes.

    Raises:
        BundleError: when two roots disagree about a file, or the archive is too large.
    """
    found: dict[str, Path] = {}
    roots: dict[Path, list[Source]] = {}
    for source in sources:
        roots.setdefault(source.root, []).append(source)
    for root, members in roots.items():
        paths = set(_tree(root)) if everything else set(_imported(root, members))
        for pattern in include:
            paths |= _matching(root, pattern)
        for path in paths:
            name = PurePosixPath(path.relative_to(root)).as_posix()
            if name in found and found[name].read_bytes() != path.read_bytes():
                raise BundleError(f"{found[name]} and {path} would both be {name} in the bundle")
            found[name] = path
    _check_size(found, size_limit)
    return _zip({name: found[name].read_bytes() for name in sorted(found)})


def _zip(files: dict[str, bytes]) -> Bundle:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    content = buffer.getvalue()
    return Bundle(content, hashlib.sha256(content).hexdigest(), tuple(files))


def _check_size(files: dict[str, Path], limit: int) -> None:
    sizes = {name: path.stat().st_size for name, path in files.items()}
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    listed = "".join(f"\n  {size / MIB:8.1f} MiB  {name}" for name, size in largest)
    raise BundleError(
        f"the source to pack is {total / MIB:.1f} MiB in {len(files)} files; "
        f"the limit is {limit / MIB:.0f} MiB. Pack less, or pass data as a File input. The largest:{listed}"
    )


def _imported(root: Path, sources: Iterable[Source]) -> Iterator[Path]:
    """The files of modules and of everything they import below the root, packages around them included."""
    waiting = [source.module for source in sources]
    seen: set[str] = set()
    for source in sources:
        yield source.path
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if parent := name.rpartition(".")[0]:
            waiting.append(parent)
        path = _file_of(root, name)
        if path is not None:
            yield path
            waiting += _imports(path, name)


def _file_of(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    for path in (place / "__init__.py", place.with_name(place.name + ".py")):
        if path.is_file():
            return path
    return None


def _imports(path: Path, module: str) -> Iterator[str]:
    """The dotted names that a module imports, or may: `from a import b` gives `a` and `a.b`."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # it is packed as it is; whoever imports it will be told
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -(node.level - 1) or None] if node.level and package else []
            begin = ".".join([*above, *([node.module] if node.module else [])])
            if begin:
                yield begin
            prefix = f"{begin}." if begin else ""
            yield from (prefix + alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            named = node.args[0]
            if called == "import_module" and isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield named.value.lstrip(".")


def _tree(root: Path) -> Iterator[Path]:
    """Every file below a root that may be source."""
    for place, directories, files in os.walk(root):
        directories[:] = [
            name
            for name in directories
            if name not in SKIPPED_DIRECTORIES and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        ]
        for name in files:
            path = Path(place, name)
            if _may_be_packed(name) and path.is_file():
                yield path


def _matching(root: Path, pattern: str) -> set[Path]:
    if PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
        raise BundleError(f"include pattern {pattern!r} must stay below {root}")
    paths = {path for path in root.glob(pattern) if path.is_file()}
    if refused := sorted(path for path in paths if not _may_be_packed(path.name)):
        raise BundleError(f"{refused[0]} looks like a secret or a build product and is never packed")
    return {path for path in paths if SKIPPED_DIRECTORIES.isdisjoint(path.relative_to(root).parts)}


def _may_be_packed(name: str) -> bool:
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in SKIPPED_FILES)


def _is_installed(path: Path) -> bool:
    """Whether a file belongs to the interpreter or to what was installed into it."""
    places = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    below = {Path(place).resolve() for place in places if place}
    return any(part in {"site-packages", "dist-packages"} for part in path.parts) or any(
        path.is_relative_to(place) for place in below if place != Path(sys.prefix).resolve()
    )
