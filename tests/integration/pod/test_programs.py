"""The programs of the examples as container tasks: our steps before and after, as a pod would have them."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.entry import Ended, Pod, literal_map
from support.type_texts import type_of
from support.value_texts import literal
from voleryidl.core.v1.interface_pb2 import TypedInterface

EXAMPLES = Path(__file__).parents[3] / "examples" / "containers"
# What the platform's steps have and a program has not.
PLATFORMS = {
    "VOLERY_VERDICT_FILE",
    "VOLERY_VERDICT_LIMIT",
    "VOLERY_INLINE_LIMIT",
    "VOLERY_INPUTS",
    "VOLERY_INTERFACE",
}


def run_pod(
    pod: Pod, program: Sequence[str], inputs: dict[str, Any], outputs: dict[str, str]
) -> tuple[int, Ended]:
    """Runs the containers of a pod in their order; answers the program's exit code, and the sidecar's end."""
    interface = TypedInterface()
    for name, text in outputs.items():
        interface.outputs.add(name=name, type=type_of(text))
    fetched = pod.run(
        "fetch",
        VOLERY_INPUTS=base64.b64encode(literal_map(inputs).SerializeToString()).decode(),
        VOLERY_INTERFACE=base64.b64encode(interface.SerializeToString()).decode(),
    )
    assert fetched.code == 0, fetched.stderr
    sidecar = pod.start("send")
    subprocess.run(
        [sys.executable, "-m", "volery._pod", "ready"], env=pod.environment, check=True, timeout=60
    )
    environment = {name: value for name, value in pod.environment.items() if name not in PLATFORMS}
    done = subprocess.run(program, env=environment, check=False, timeout=120)
    sidecar.send_signal(signal.SIGTERM)
    return done.returncode, pod.ended(sidecar)


@pytest.fixture(scope="module")
def histogram(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled program."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go here to compile the example with")
    place = tmp_path_factory.mktemp("histogram")
    shutil.copy(EXAMPLES / "histogram.go", place / "main.go")
    (place / "go.mod").write_text("module histogram\n\ngo 1.21\n")
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    environment = {"GOCACHE": str(place / "cache"), **os.environ, **offline}
    if "HOME" in os.environ:  # then Go finds its own cache
        environment.pop("GOCACHE")
    subprocess.run([go, "build", "-o", "histogram", "."], cwd=place, env=environment, check=True, timeout=300)
    return str(place / "histogram")


WORDS = {"counts": "map[integer]", "words": "integer"}


def test_a_shell_script_is_a_task(pod: Pod) -> None:
    text = pod.store("data/text.txt", b"The cat and the dog.\nThe end\n")
    code, ended = run_pod(pod, [str(EXAMPLES / "wordcount.sh")], {"text": {"$file": text}, "least": 2}, WORDS)
    assert code == 0
    assert ended.code == 0, ended.stderr
    assert dict(ended.outputs.literals) == {"counts": literal({"the": 3}), "words": literal(7)}


def test_a_program_that_fails_says_why_in_its_error_file(pod: Pod) -> None:
    text = pod.store("data/text.txt", b"x")
    code, ended = run_pod(pod, [str(EXAMPLES / "wordcount.sh")], {"text": {"$file": text}, "least": 0}, WORDS)
    assert (code, ended.code) == (1, 1)
    assert (ended.failure.code, ended.failure.recoverable) == ("BadLeast", False)
    assert ended.failure.message == "least is 0; it must be 1 or more"


def test_a_program_that_only_fails_is_missed_by_its_outputs(pod: Pod) -> None:
    code, ended = run_pod(pod, ["sh", "-c", "exit 3"], {}, WORDS)
    assert code == 3  # which the worker joins with what the sidecar has found
    assert ended.failure.code == "OutputMissing"


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_a_compiled_program_is_a_task(pod: Pod, histogram: str) -> None:
    given = {"values": [0.0, 1.0, 1.5, 4.0], "bins": 2}
    code, ended = run_pod(pod, [histogram], given, {"histogram": "list[integer]", "chart": "file"})
    assert code == 0
    found = ended.outputs.literals
    assert found["histogram"] == literal([3, 1])
    chart = Path(found["chart"].blob_value.uri.removeprefix("file://"))
    assert chart.read_text() == "  0 ###\n  1 #\n"


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_a_compiled_program_says_why_it_failed(pod: Pod, histogram: str) -> None:
    code, ended = run_pod(pod, [histogram], {"values": [], "bins": 0}, {"histogram": "list[integer]"})
    assert code == 1
    assert ended.failure.code == "BadBins"
