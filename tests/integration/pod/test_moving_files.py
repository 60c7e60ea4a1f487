"""What moves the files of container tasks, as processes with a store of files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entry import Ended, Pod, literal_map
from support.literals import moments, spans
from support.type_texts import type_of
from support.value_texts import literal
from volery._literals import types, values
from volery._literals.values import Literal
from volery._pod.input_files import _last_part
from volery._pod.texts import read_simple, spelled
from voleryidl.core.v1 import literals_pb2
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER
from voleryidl.core.v1.interface_pb2 import TypedInterface


def interface(pod: Pod, inputs: dict[str, str] | None = None, outputs: dict[str, str] | None = None) -> None:
    made = TypedInterface()
    for variables, declared in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, text in (declared or {}).items():
            variables.add(name=name, type=type_of(text))
    pod.variables["VOLERY_INTERFACE"] = base64.b64encode(made.SerializeToString()).decode()


def fetch(pod: Pod, **inputs: Any) -> Ended:
    interface(pod)
    content = literal_map(inputs).SerializeToString()
    return pod.run("fetch", VOLERY_INPUTS=base64.b64encode(content).decode())


def laid(pod: Pod, name: str) -> str:
    return (pod.root / "inputs" / name).read_text()


def send(pod: Pod, **files: str | bytes | None) -> Ended:
    """Runs the sidecar as a kubelet does: waits until it hears, starts the program, ends the sidecar."""
    process = pod.start("send")
    ready = subprocess.run(
        [sys.executable, "-m", "volery._pod", "ready"], env=pod.environment, check=False, timeout=60
    )
    assert ready.returncode == 0
    for name, content in files.items():
        path = pod.root / "outputs" / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    process.send_signal(signal.SIGTERM)
    return pod.ended(process)


def output(pod: Pod, declared: str, **files: str | bytes | None) -> literals_pb2.Literal:
    interface(pod, outputs={"it": declared})
    ended = send(pod, **files)
    assert ended.code == 0, ended.stderr
    return ended.outputs.literals["it"]


# --- fetch ---


def test_plain_values_are_files_with_their_text(pod: Pod) -> None:
    ended = fetch(
        pod,
        number=-3,
        share=0.1,
        text="größer\n",
        yes=True,
        at={"$datetime": "2026-01-31T12:00:00.250Z"},
        span={"$duration": "90s"},
        maybe={"$union": ["integer", 7]},
        raw={"$binary": "bytes", "tag": "raw"},
    )
    assert ended.code == 0, ended.stderr
    assert ended.message == ""
    sent = (pod.root / "inputs" / "inputs.pb").read_bytes()
    assert base64.b64encode(sent).decode() == pod.variables["VOLERY_INPUTS"]
    names = {path.name for path in (pod.root / "inputs").iterdir()} - {"inputs.pb"}
    found = {name: laid(pod, name) for name in names}
    told = json.loads(found.pop("inputs.json"))
    assert found == {
        "number": "-3",
        "share": "0.1",
        "text": "größer\n",
        "yes": "true",
        "at": "2026-01-31T12:00:00.250Z",
        "span": "90s",
        "maybe": "7",
        "raw": "bytes",
    }
    assert told == {
        "number": -3,
        "share": 0.1,
        "text": "größer\n",
        "yes": True,
        "at": "2026-01-31T12:00:00.250Z",
        "span": "90s",
        "maybe": 7,
        "raw": base64.b64encode(b"bytes").decode(),
    }


def test_values_with_parts_are_json(pod: Pod) -> None:
    fetch(
        pod,
        numbers=[1, 2.5, float("inf")],
        table={"a": [True, None]},
        model={"$record": {"depth": 3}},
        free={"$struct": {"x": [1, {"y": None}]}},
        nothing=None,
    )
    for name, expected in {
        "numbers": [1, 2.5, "inf"],
        "table": {"a": [True, None]},
        "model": {"depth": 3},
        "free": {"x": [1, {"y": None}]},
    }.items():
        assert json.loads(laid(pod, name)) == json.loads(laid(pod, f"{name}.json")) == expected
    assert not (pod.root / "inputs" / "nothing").exists()
    assert json.loads(laid(pod, "inputs.json"))["nothing"] is None


def test_files_and_directories_are_themselves(pod: Pod) -> None:
    one = pod.store("data/one.csv", b"a,b\n")
    pod.store("data/folder/deep/two.txt", b"two")
    folder = (pod.root / "store" / "data" / "folder").as_uri()
    ended = fetch(
        pod,
        table={"$file": one},
        folder={"$directory": folder},
        frame={"$dataset": one},
        several=[{"$file": one}, {"$file": one}],
    )
    assert ended.code == 0, ended.stderr
    assert laid(pod, "table") == laid(pod, "frame") == "a,b\n"
    assert laid(pod, "folder/deep/two.txt") == "two"
    paths = json.loads(laid(pod, "several"))
    assert [Path(path).read_text() for path in paths] == ["a,b\n", "a,b\n"]
    assert all(path.endswith("-one.csv") for path in paths)
    assert not (pod.root / "inputs" / ".fetching").exists()
    assert os.stat(pod.root / "inputs" / "table").st_mode & 0o777 == 0o644


def test_a_value_kept_elsewhere_is_fetched_and_verified(pod: Pod) -> None:
    content = literal([1, 2, 3]).SerializeToString()
    uri = pod.store("values/list", content)
    kept = literals_pb2.LiteralMap()
    value = kept.literals["xs"].offloaded_value
    value.uri, value.size_bytes, value.sha256 = uri, len(content), hashlib.sha256(content).hexdigest()
    interface(pod)
    pod.variables["VOLERY_INPUTS"] = base64.b64encode(kept.SerializeToString()).decode()
    assert pod.run("fetch").code == 0
    assert json.loads(laid(pod, "xs")) == [1, 2, 3]
    pod.store("values/list", b"other")
    ended = pod.run("fetch")
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.kind) == ("InputsUnavailable", FAILURE_KIND_SYSTEM)
    assert "another hash" in ended.failure.message


def test_defaults_are_laid_too_and_the_step_can_be_repeated(pod: Pod) -> None:
    made = TypedInterface()
    made.inputs.add(name="depth", type=type_of("integer"), default_value=literal(4))
    pod.variables["VOLERY_INTERFACE"] = base64.b64encode(made.SerializeToString()).decode()
    pod.variables["VOLERY_INPUTS"] = ""
    (pod.root / "inputs" / "left").mkdir()
    for _ in range(2):
        assert pod.run("fetch").code == 0
        assert laid(pod, "depth") == "4"
    assert not (pod.root / "inputs" / "left").exists()


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "a.b", "inputs.json"])
def test_a_name_that_is_none_is_refused(pod: Pod, name: str) -> None:
    ended = fetch(pod, **{name: 3})
    assert ended.code == 1
    assert "an input cannot be called" in ended.failure.message
    assert not (pod.root / "escape").exists()


@pytest.mark.parametrize("last", ["..%2f..%2fescape", "..", ".hidden", "a%00b", "x" * 300])
def test_names_in_addresses_do_not_lead_anywhere(pod: Pod, last: str) -> None:
    name = _last_part(f"s3://bucket/{last}")
    assert "/" not in name
    assert not name.startswith(".")
    assert 0 < len(name) <= 100
    assert "\0" not in name


def test_what_cannot_be_fetched_is_told(pod: Pod) -> None:
    ended = fetch(pod, table={"$file": "file:///nowhere/at/all"})
    assert ended.code == 1
    assert "cannot read file:///nowhere/at/all" in ended.failure.message
    assert ended.failure.recoverable


@given(moments())
def test_times_are_spelled_as_protobuf_spells_them(moment: tuple[int, int]) -> None:
    made = literals_pb2.Literal()
    made.datetime_value.seconds, made.datetime_value.nanos = moment
    assert spelled(Literal(values.DATETIME, moment)) == made.datetime_value.ToJsonString()


@given(spans())
def test_spans_are_spelled_as_protobuf_spells_them_and_read_back(span: tuple[int, int]) -> None:
    made = literals_pb2.Literal()
    made.duration_value.seconds, made.duration_value.nanos = span
    text = spelled(Literal(values.DURATION, span))
    assert text == made.duration_value.ToJsonString()
    assert read_simple(text, types.DURATION) == Literal(values.DURATION, span)


@given(st.floats(allow_nan=False))
def test_numbers_are_read_as_they_were_spelled(number: float) -> None:
    assert read_simple(spelled(Literal(values.FLOAT, number)), types.FLOAT) == Literal(values.FLOAT, number)


# --- send ---


@pytest.mark.parametrize(
    ("declared", "content", "expected"),
    [
        ("integer", "42\n", 42),
        ("integer", " -7 ", -7),
        ("float", "0.5\n", 0.5),
        ("float", "3", 3.0),
        ("float", "-inf", float("-inf")),
        ("string", "two\nlines\n", "two\nlines"),
        ("string", "from windows\r\n", "from windows"),
        ("string", "", ""),
        ("boolean", "True\n", True),
        ("boolean", "0", False),
        ("datetime", "2026-01-31T12:00:00Z\n", {"$datetime": "2026-01-31T12:00:00Z"}),
        ("duration", "1h30m\n", {"$duration": "5400s"}),
        ("enum Color{red, green}", "green\n", "green"),
        ("list[integer]", "[1, 2]", [1, 2]),
        ("map[float]", '{"a": 1}', {"a": 1.0}),
        ("struct", '{"a": [1]}', {"$struct": {"a": [1]}}),
        ("record A{x: integer, y: integer = 1}", '{"x": 5}', {"$record": {"x": 5, "y": 1}}),
        ("binary(raw)", "any bytes\n", {"$binary": "any bytes\n", "tag": "raw"}),
        ("integer | none", "3", {"$union": ["integer", 3]}),
        ("string | none", "", {"$union": ["string", ""]}),
        ("integer | string", "x", {"$union": ["string", "x"]}),
        ("integer | float", "3", {"$union": ["integer", 3]}),
    ],
)
def test_outputs_are_read_as_they_are_declared(pod: Pod, declared: str, content: str, expected: Any) -> None:
    assert output(pod, declared, it=content) == literal(expected)


@pytest.mark.parametrize(
    ("declared", "content", "expected"),
    [
        ("string", '"exact\\n"', "exact\n"),
        ("integer", "3.0", 3),
        ("integer | string", '"3"', {"$union": ["string", "3"]}),
        ("integer | none", "null", {"$union": ["none", None]}),
        ("list[duration]", '["1.5s"]', [{"$duration": "1.5s"}]),
        ("list[float]", '["nan", 1]', None),
    ],
)
def test_outputs_may_be_json_whatever_they_are(pod: Pod, declared: str, content: str, expected: Any) -> None:
    found = output(pod, declared, it__json=content)
    if expected is not None:
        assert found == literal(expected)


def test_all_outputs_may_be_one_file(pod: Pod) -> None:
    interface(pod, outputs={"a": "integer", "b": "string", "c": "integer | none"})
    ended = send(pod, outputs__json='{"a": 1, "b": "x"}', b="from a file of its own")
    assert dict(ended.outputs.literals) == {
        "a": literal(1),
        "b": literal("from a file of its own"),
        "c": literal({"$union": ["none", None]}),
    }


def test_files_and_directories_are_put_into_the_store(pod: Pod) -> None:
    interface(
        pod,
        outputs={
            "table": "file(csv)",
            "folder": "directory",
            "frame": "dataset{a: integer}",
            "many": "list[file]",
        },
    )
    outputs = pod.root / "outputs"
    for name in ("folder/deep", "parts"):
        (outputs / name).mkdir(parents=True)
    (outputs / "folder" / "deep" / "x y.txt").write_text("two")
    (outputs / "parts" / "one").write_text("1")
    ended = send(pod, table="a,b\n", frame=b"PAR1", many__json='["parts/one", "s3://bucket/elsewhere"]')
    assert ended.code == 0, ended.stderr
    found = ended.outputs.literals
    table = found["table"].blob_value
    assert (table.format, table.size_bytes) == ("csv", 4)
    assert Path(table.uri.removeprefix("file://")).read_text() == "a,b\n"
    folder = found["folder"].blob_value
    assert folder.directory
    assert folder.size_bytes == 3
    assert Path(folder.uri.removeprefix("file://"), "deep", "x y.txt").read_text() == "two"
    assert list(found["frame"].dataset_value.columns) == ["a"]
    assert found["frame"].dataset_value.format == "parquet"
    one, other = found["many"].collection_value.literals
    assert one.blob_value.uri.startswith(pod.prefix)
    assert other.blob_value.uri == "s3://bucket/elsewhere"


def test_a_large_output_is_put_into_the_store(pod: Pod) -> None:
    found = output(pod, "string", it="x" * 100_000)
    assert found.offloaded_value.uri.startswith(pod.prefix)


@pytest.mark.parametrize(
    ("declared", "content", "says"),
    [
        ("integer", "three", "output it (int): 'three' is not int"),
        ("integer", "1_000", "is not int"),
        ("integer", str(2**63), "is not int"),
        ("float", "1_0", "is not float"),
        ("boolean", "maybe", "is not bool"),
        ("string", b"\xff", "it is not UTF-8"),
        ("datetime", "yesterday", "is not a time such as"),
        ("enum Color{red}", "blue", "is not one of red"),
        ("list[integer]", "[1", "it is not JSON"),
        ("list[integer]", '["1"]', "'1' is not int"),
        ("list[integer]", "{}", "is not list[int]"),
        ("record A{x: integer}", "{}", "A needs the field x"),
        ("record A{x: integer}", '{"x": 1, "y": 2}', "A has no field y"),
        ("list[list[integer]]", "[" * 100_000, "too deep"),
        ("directory", "a file", "it is a file, not a directory"),
        ("integer | boolean", "1", "it may be int or bool"),
        ("error", "oh", "cannot be given here"),
    ],
)
def test_what_is_not_as_declared_is_told_by_output_and_type(
    pod: Pod, declared: str, content: str | bytes, says: str
) -> None:
    interface(pod, outputs={"it": declared})
    ended = send(pod, it=content)
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.kind) == ("OutputInvalid", FAILURE_KIND_USER)
    assert says in ended.failure.message
    assert not ended.failure.recoverable


def test_what_is_missing_is_told_with_what_was_found(pod: Pod) -> None:
    interface(pod, outputs={"a": "integer", "b": "file", "c": "integer | none"})
    ended = send(pod, other="x")
    assert ended.failure.code == "OutputMissing"
    assert "output a (int), output b (File): there is no such file" in ended.failure.message
    assert "it has 'other'" in ended.failure.message
    assert "OutputMissing" in ended.stderr


def test_all_that_is_wrong_with_outputs_is_told_at_once(pod: Pod) -> None:
    interface(pod, outputs={"a": "integer", "b": "boolean", "c": "integer"})
    ended = send(pod, a="x", b="y")
    assert ended.failure.code == "OutputInvalid"
    for part in ("output a", "output b", "output c"):
        assert part in ended.failure.message


def test_two_files_for_one_output_are_refused(pod: Pod) -> None:
    interface(pod, outputs={"a": "integer"})
    ended = send(pod, a="1", a__json="1")
    assert "there are both a and a.json; leave one" in ended.failure.message


def test_links_pipes_and_paths_that_lead_out_are_never_followed(pod: Pod) -> None:
    outputs = pod.root / "outputs"
    secret = pod.root / "secret"
    secret.mkdir()
    (secret / "key").write_text("hush")
    (outputs / "file").symlink_to(secret / "key")
    (outputs / "text").symlink_to(secret / "key")
    os.mkfifo(outputs / "pipe")
    (outputs / "folder").mkdir()
    (outputs / "folder" / "inside").symlink_to(secret)
    (outputs / "door").symlink_to(secret)
    interface(
        pod,
        outputs={
            "file": "file",
            "text": "string",
            "pipe": "string",
            "folder": "directory",
            "up": "list[file]",
            "through": "list[file]",
            "absolute": "list[file]",
        },
    )
    ended = send(
        pod,
        up__json='["../secret/key"]',
        through__json='["door/key"]',
        absolute__json=json.dumps([str(secret / "key")]),
    )
    assert ended.failure.code == "OutputInvalid"
    for name in ("file", "text", "pipe", "folder", "up", "through", "absolute"):
        assert f"output {name} (" in ended.failure.message
    assert "hush" not in ended.message + ended.stderr
    assert not list(pod.root.glob("store/**/*key*"))


@pytest.mark.parametrize(
    ("content", "code", "message", "recoverable"),
    [
        ("it broke\n", "ErrorFile", "it broke", True),
        ("", "ErrorFile", "the program left an empty _ERROR", True),
        (
            '{"message": "no such depth", "code": "BadDepth", "recoverable": false}',
            "BadDepth",
            "no such depth",
            False,
        ),
        ('{"message": 3}', "ErrorFile", '{"message": 3}', True),
        ('{"message": "m", "code": 7, "trace": []}', "ErrorFile", "m", True),
        (b"\xff\xfe", "ErrorFile", "_ERROR cannot be read", True),
        ("[" * 100_000, "ErrorFile", "[[[", True),
    ],
)
def test_an_error_file_is_the_failure_whatever_else_is_there(
    pod: Pod, content: str | bytes, code: str, message: str, recoverable: bool
) -> None:
    interface(pod, outputs={"a": "integer"})
    ended = send(pod, a="1", _ERROR=content)
    assert ended.code == 1
    failure = ended.failure
    assert (failure.code, failure.kind, failure.recoverable) == (code, FAILURE_KIND_USER, recoverable)
    assert message in failure.message
    assert "ErrorFile" in failure.codes


def test_outputs_that_cannot_be_stored_are_the_platforms_fault(pod: Pod) -> None:
    (pod.root / "store").write_text("in the way")
    interface(pod, outputs={"a": "file"})
    ended = send(pod, a="x")
    assert (ended.failure.code, ended.failure.kind) == ("OutputsNotStored", FAILURE_KIND_SYSTEM)
    assert ended.failure.recoverable


def test_the_sidecar_ends_when_it_is_told_to_even_if_its_contract_is_broken(pod: Pod) -> None:
    interface(pod)
    pod.variables["VOLERY_INLINE_LIMIT"] = "many"
    ended = send(pod)
    assert ended.code == 64
    assert ended.failure.code == "ContractBroken"


def test_the_sidecar_hears_what_came_before_it_waited(pod: Pod) -> None:
    interface(pod, outputs={"a": "integer"})
    (pod.root / "outputs" / "a").write_text("1")
    process = pod.start("send")
    while not (pod.root / "outputs" / ".volery-ready").exists():
        assert process.poll() is None
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
    assert pod.ended(process).outputs.literals["a"] == literal(1)
