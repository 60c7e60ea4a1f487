"""A task that does within itself what a pod does: a live attempt's token is hard to come by elsewhere."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from pathlib import Path

from volery import current_context, task
from volery._literals import Literal, encode, encode_map, values
from volery.storage import Workspace


@task
def run_within(size: int, code: bytes) -> list[str]:
    """Runs `fill` of a bundle by the entry point; answers the message, and what it refers to."""
    context = current_context()
    place = Path(context.working_dir)
    (place / "bundle").write_bytes(code)
    stored = Workspace(context.storage_prefix, place / "put", context.access).put_file(place / "bundle")
    variables = _variables() | {
        "VOLERY_TASK_MODULE": "code_of_it",
        "VOLERY_TASK_QUALNAME": "fill",
        "VOLERY_INPUTS": _inputs(size=Literal(values.INTEGER, size)),
        "VOLERY_BUNDLE_URI": stored.uri,
        "VOLERY_BUNDLE_SHA256": stored.sha256,
        "VOLERY_BUNDLE_SIZE": str(stored.size_bytes),
    }
    subprocess.run([sys.executable, "-m", "volery._pod", "run"], env=variables, check=True)
    return _left(Path(variables["VOLERY_VERDICT_FILE"]))


@task
def move_within(interface: str) -> list[str]:
    """Puts a file, lays it as an input of a program, and sends what the program makes of it."""
    context = current_context()
    place = Path(context.working_dir)
    (place / "given.txt").write_text("given\n" * 1000)
    stored = Workspace(context.storage_prefix, place / "put", context.access).put_file(place / "given.txt")
    blob = values.BlobValue(stored.uri, "txt", False, stored.size_bytes, stored.sha256)
    variables = _variables() | {
        "VOLERY_INTERFACE": interface,
        "VOLERY_INPUTS": _inputs(given=Literal(values.BLOB, blob)),
        "VOLERY_INPUT_DIR": str(place / "inputs"),
        "VOLERY_OUTPUT_DIR": str(place / "outputs"),
    }
    entry = [sys.executable, "-m", "volery._pod"]
    subprocess.run([*entry, "fetch"], env=variables, check=True)
    sidecar = subprocess.Popen([*entry, "send"], env=variables)
    subprocess.run([*entry, "ready"], env=variables, check=True)
    text = (place / "inputs" / "given").read_text()
    (place / "outputs" / "sent").write_text(text.upper())
    (place / "outputs" / "lines").write_text(str(text.count("\n")))
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait() == 0
    return _left(Path(variables["VOLERY_VERDICT_FILE"]))


def _variables() -> dict[str, str]:
    context = current_context()
    server, _, token, data_server = context.access.split("\n")
    return {
        **os.environ,
        "VOLERY_EXECUTION": context.execution,
        "VOLERY_EXECUTION_UID": "u",
        "VOLERY_NODE": "n0",
        "VOLERY_ATTEMPT": "1",
        "VOLERY_STORAGE_PREFIX": context.storage_prefix,
        "VOLERY_SERVER": server,
        "VOLERY_DATA_SERVER": data_server,
        "VOLERY_TOKEN": token,
        "VOLERY_VERDICT_FILE": str(Path(context.working_dir) / "verdict"),
        "VOLERY_VERDICT_LIMIT": "0",
        "TMPDIR": context.working_dir,
    }


def _inputs(**literals: Literal) -> str:
    content = encode_map({name: encode(each) for name, each in literals.items()})
    return base64.b64encode(content).decode()


def _left(file: Path) -> list[str]:
    context = current_context()
    message = file.read_text()
    uri = message.strip().rpartition(" uri:")[2]
    workspace = Workspace(context.storage_prefix, context.working_dir, context.access)
    return [message, base64.b64encode(workspace.read(uri)).decode()]
