"""A pod's containers as plain processes: the entry point in a directory of its own, with a file store."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.value_texts import literal
from volery_rules.verdicts import Elsewhere, Sealed, attempt_tag, read
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

UID = "0f6c"
NODE = "search.fit[3]"
TESTS = Path(__file__).parents[1]


def literal_map(values: Mapping[str, Any]) -> LiteralMap:
    """Inputs as they are written in YAML."""
    made = LiteralMap()
    for name, value in values.items():
        made.literals[name].CopyFrom(literal(value))
    return made


def bundle_of(files: Mapping[str, str]) -> bytes:
    """A code bundle."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


@dataclass(slots=True)
class Ended:
    """How a container ended."""

    code: int
    stdout: str
    stderr: str
    verdict: AttemptVerdict | None
    is_elsewhere: bool
    message: str

    @property
    def failure(self) -> Failure:
        """Why it failed."""
        assert self.verdict is not None, self
        assert self.verdict.WhichOneof("verdict") == "failure", self.verdict
        return self.verdict.failure

    @property
    def outputs(self) -> LiteralMap:
        """What it returned."""
        assert self.verdict is not None, self
        assert self.verdict.WhichOneof("verdict") == "outputs", self.verdict
        return self.verdict.outputs


@dataclass(slots=True)
class Pod:
    """One attempt: its files below `root`, and its variables."""

    root: Path
    variables: dict[str, str | None] = field(default_factory=dict)
    uid: str = UID
    node: str = NODE
    attempt: int = 2

    def __post_init__(self) -> None:
        for name in ("tmp", "inputs", "outputs", "image"):
            (self.root / name).mkdir(exist_ok=True)

    @property
    def prefix(self) -> str:
        """Where the attempt stores."""
        return (self.root / "store" / "attempt").as_uri()

    @property
    def verdict_file(self) -> Path:
        """The termination message."""
        return self.root / "termination-log"

    @property
    def environment(self) -> dict[str, str]:
        """What the launcher gives to each of the containers; None takes a variable away."""
        given: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")},
            "PYTHONPATH": str(TESTS),
            "TMPDIR": str(self.root / "tmp"),
            "VOLERY_EXECUTION": "demo/development/e1",
            "VOLERY_EXECUTION_UID": self.uid,
            "VOLERY_NODE": self.node,
            "VOLERY_ATTEMPT": str(self.attempt),
            "VOLERY_STORAGE_PREFIX": self.prefix,
            "VOLERY_INLINE_LIMIT": "16384",
            "VOLERY_VERDICT_FILE": str(self.verdict_file),
            "VOLERY_TOKEN": "vat_secret",
            "VOLERY_INPUT_DIR": str(self.root / "inputs"),
            "VOLERY_OUTPUT_DIR": str(self.root / "outputs"),
            **self.variables,
        }
        return {name: value for name, value in given.items() if value is not None}

    def calls(self, module: str, qualname: str, **inputs: Any) -> Pod:
        """Tells it a Python task and its inputs."""
        self.variables |= {
            "VOLERY_TASK_MODULE": module,
            "VOLERY_TASK_QUALNAME": qualname,
            "VOLERY_INPUTS": base64.b64encode(literal_map(inputs).SerializeToString()).decode(),
        }
        return self

    def store(self, name: str, content: bytes) -> str:
        """Puts an object; answers its URI."""
        path = self.root / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path.as_uri()

    def has_code(self, content: bytes, **variables: str) -> Pod:
        """Tells it a bundle."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.variables |= {
            "VOLERY_BUNDLE_URI": self.store(f"blobs/{sha256[:2]}/{sha256}", content),
            "VOLERY_BUNDLE_SHA256": sha256,
            "VOLERY_BUNDLE_SIZE": str(len(content)),
            **variables,
        }
        return self

    def start(self, what: str, **variables: str | None) -> subprocess.Popen[bytes]:
        """Starts one of the containers."""
        self.variables |= variables
        return subprocess.Popen(
            [sys.executable, "-m", "volery._pod", what],
            cwd=self.root / "image",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ended(self, process: subprocess.Popen[bytes]) -> Ended:
        """Waits for a container's end."""
        stdout, stderr = process.communicate(timeout=120)
        message = self.verdict_file.read_text() if self.verdict_file.exists() else ""
        found = read(message, attempt_tag(self.uid, self.node, self.attempt))
        is_elsewhere = isinstance(found, Elsewhere)
        if isinstance(found, Elsewhere):
            assert found.uri.startswith(self.prefix + "/")
            found = found.opened(Path(found.uri.removeprefix("file://")).read_bytes())
            assert found is not None
        verdict = found.verdict if isinstance(found, Sealed) else None
        return Ended(
            process.returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            verdict,
            is_elsewhere,
            message,
        )

    def run(self, what: str = "run", **variables: str | None) -> Ended:
        """Runs one of the containers to its end."""
        return self.ended(self.start(what, **variables))
