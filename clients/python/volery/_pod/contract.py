"""This module reads the container contract: the variables that tell an attempt which one it is.

`docs/reference/container-contract.md` describes them; they are written by the worker's launcher. A variable
that is missing or garbled is the platform's fault or that of a template which overrides it, and every one
of them is named at once.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final

KUBELET_KEEPS: Final = 4096
"""Bytes of a termination message that a kubelet keeps at most."""

PRIVATE: Final = (
    "VOLERY_TOKEN",
    "VOLERY_SERVER",
    "VOLERY_DATA_SERVER",
    "VOLERY_TLS_CA_PEM",
    "VOLERY_STORAGE_PREFIX",
    "VOLERY_INLINE_LIMIT",
    "VOLERY_TASK_MODULE",
    "VOLERY_TASK_QUALNAME",
    "VOLERY_BUNDLE_URI",
    "VOLERY_BUNDLE_SHA256",
    "VOLERY_BUNDLE_SIZE",
    "VOLERY_BUNDLE_LIMITS",
    "VOLERY_INPUTS",
    "VOLERY_INPUTS_URI",
    "VOLERY_INPUTS_SHA256",
    "VOLERY_INTERFACE",
    "VOLERY_VERDICT_FILE",
    "VOLERY_VERDICT_LIMIT",
    "VOLERY_TRACEPARENT",
)
"""What user code and the programs it starts do not find in their environment."""


class ContractBroken(Exception):
    """Variables are missing or garbled; says which, each on a line."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which attempt this is, and where it says how it ended.

    Attributes:
        execution: `project/domain/name`.
        uid: of the execution.
        path: of the node.
        attempt: counts from 1.
        prefix: a URI of a prefix that belongs to this attempt alone.
        verdict_file: where the verdict goes.
        verdict_limit: bytes of a verdict that may stand there; 0 for never, larger ones lie below `prefix`.
        server: the control plane's address; empty where tasks cannot reach it.
        data_server: where URLs to the object store are signed; empty where files are shared.
        token: of this attempt alone.
        tls_ca: authorities of both servers as PEM; empty for the system's.
    """

    execution: str
    uid: str
    path: str
    attempt: int
    prefix: str
    verdict_file: str
    verdict_limit: int
    server: str = ""
    data_server: str = ""
    token: str = field(default="", repr=False)
    tls_ca: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of an attempt: a serialised LiteralMap, or where one lies."""

    content: bytes
    uri: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A code bundle: where it lies, what it must be, and how much of it is taken."""

    uri: str
    sha256: str
    size: int
    limits: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class PythonTask:
    """What the entry point of a Python task is told beside its identity.

    Attributes:
        module: of the task.
        qualname: of the task in it.
        bundle: its code; None where that is in the image.
        inputs: what it takes.
        inline_limit: outputs of more bytes are put below the prefix.
        traceparent: the W3C trace context; empty when the attempt is not traced.
    """

    module: str
    qualname: str
    bundle: Bundle | None
    inputs: Inputs
    inline_limit: int
    traceparent: str


@dataclass(frozen=True, slots=True)
class Files:
    """What the two helpers of a container task are told beside its identity.

    Attributes:
        input_dir: where inputs are laid.
        output_dir: where outputs are found.
        interface: a serialised TypedInterface.
        inputs: what the task takes; None for who sends outputs.
        inline_limit: outputs of more bytes are put below the prefix.
    """

    input_dir: str
    output_dir: str
    interface: bytes
    inputs: Inputs | None
    inline_limit: int


BUNDLE_LIMITS: Final = (256 * 1024 * 1024, 1024 * 1024 * 1024, 20_000, 200)
"""Bytes of an archive, bytes and number of its members, how many times its size it may unpack to."""

INLINE_LIMIT: Final = 16_384
VERDICT_LIMIT: Final = 2500


class Reader:
    """Reads variables, and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.complaints: list[str] = []

    def identity(self) -> Identity:
        """Who the attempt is; parts that cannot be read are empty, and complained about."""
        execution = self._text("VOLERY_EXECUTION")
        if execution and (execution.count("/") != 2 or not all(execution.split("/"))):
            self._wrong("VOLERY_EXECUTION", "not project/domain/name")
        return Identity(
            execution,
            self._text("VOLERY_EXECUTION_UID"),
            self._text("VOLERY_NODE"),
            self._number("VOLERY_ATTEMPT", None, 1, 2**32 - 1),
            self._uri("VOLERY_STORAGE_PREFIX").rstrip("/"),
            self._text("VOLERY_VERDICT_FILE"),
            self._number("VOLERY_VERDICT_LIMIT", VERDICT_LIMIT, 0, KUBELET_KEEPS),
            self._environ.get("VOLERY_SERVER", ""),
            self._environ.get("VOLERY_DATA_SERVER", ""),
            self._environ.get("VOLERY_TOKEN", ""),
            self._environ.get("VOLERY_TLS_CA_PEM", ""),
        )

    def python_task(self) -> PythonTask:
        """What a Python task is told."""
        return PythonTask(
            self._text("VOLERY_TASK_MODULE"),
            self._text("VOLERY_TASK_QUALNAME"),
            self._bundle(),
            self._inputs(),
            self._number("VOLERY_INLINE_LIMIT", INLINE_LIMIT, 0, 2**40),
            self._environ.get("VOLERY_TRACEPARENT", ""),
        )

    def files(self, *, with_inputs: bool) -> Files:
        """What the helpers of a container task are told."""
        return Files(
            self._environ.get("VOLERY_INPUT_DIR") or "/var/volery/inputs",
            self._environ.get("VOLERY_OUTPUT_DIR") or "/var/volery/outputs",
            self._base64("VOLERY_INTERFACE"),
            self._inputs() if with_inputs else None,
            self._number("VOLERY_INLINE_LIMIT", INLINE_LIMIT, 0, 2**40),
        )

    def check(self) -> None:
        """Raises ContractBroken when anything was wrong."""
        if self.complaints:
            raise ContractBroken("\n".join(self.complaints))

    def _bundle(self) -> Bundle | None:
        if not self._environ.get("VOLERY_BUNDLE_URI"):
            return None
        return Bundle(
            self._uri("VOLERY_BUNDLE_URI"),
            self._sha256("VOLERY_BUNDLE_SHA256"),
            self._number("VOLERY_BUNDLE_SIZE", None, 0, 2**62),
            self._limits(),
        )

    def _limits(self) -> tuple[int, int, int, int]:
        text = self._environ.get("VOLERY_BUNDLE_LIMITS")
        if not text:
            return BUNDLE_LIMITS
        parts = text.split(",")
        if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            self._wrong("VOLERY_BUNDLE_LIMITS", "not four numbers with commas between them")
            return BUNDLE_LIMITS
        size, unpacked, members, ratio = map(int, parts)
        return size, unpacked, members, ratio

    def _inputs(self) -> Inputs:
        if self._environ.get("VOLERY_INPUTS_URI"):
            return Inputs(b"", self._uri("VOLERY_INPUTS_URI"), self._sha256("VOLERY_INPUTS_SHA256"))
        if "VOLERY_INPUTS" not in self._environ:
            self.complaints.append("neither VOLERY_INPUTS nor VOLERY_INPUTS_URI is set")
            return Inputs(b"")
        return Inputs(self._base64("VOLERY_INPUTS"))

    def _text(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.complaints.append(f"{name} is {'empty' if name in self._environ else 'not set'}")
            return ""
        try:
            value.encode()
        except UnicodeEncodeError:
            self._wrong(name, "not UTF-8")
            return ""
        return value

    def _uri(self, name: str) -> str:
        value = self._text(name)
        if value and ("://" not in value or not value.isprintable() or " " in value):
            self._wrong(name, "not a URI")
        return value

    def _number(self, name: str, default: int | None, least: int, most: int) -> int:
        value = self._environ.get(name, "")
        if not value and default is not None:
            return default
        if not value:
            self._text(name)
        elif not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
            self._wrong(name, f"not a number from {least} to {most}")
        else:
            return int(value)
        return 0

    def _sha256(self, name: str) -> str:
        value = self._text(name)
        if value and (len(value) != 64 or set(value) - set("0123456789abcdef")):
            self._wrong(name, "not a SHA-256 in hexadecimal")
        return value

    def _base64(self, name: str) -> bytes:
        import binascii

        try:
            return binascii.a2b_base64(self._environ.get(name, ""), strict_mode=True)
        except (binascii.Error, ValueError):
            self._wrong(name, "not base64")
            return b""

    def _wrong(self, name: str, what: str) -> None:
        value = self._environ.get(name, "")
        shown = "" if name in ("VOLERY_INPUTS", "VOLERY_INTERFACE") else f" {value[:80]!r}"
        self.complaints.append(f"{name}{shown} is {what}")


def conceal(environ: MutableMapping[str, str]) -> None:
    """Takes out of an environment what user code need not see."""
    for name in PRIVATE:
        environ.pop(name, None)
