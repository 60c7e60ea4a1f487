"""The entry point of Python tasks, as a process with a store of files."""

from __future__ import annotations

import base64
import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.entry import NODE, Pod, bundle_of, literal_map
from support.value_texts import literal
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER

TASKS = "support.pod_tasks"
HOSTILE = "support.hostile_tasks"
FLOW = """
from pathlib import Path
from volery import task
import helper

@task
def shout(text: str) -> str:
    return helper.loud(text) + (Path(__file__).parent / "data" / "mark.txt").read_text()
"""


def test_a_task_returns_and_its_verdict_says_what(pod: Pod) -> None:
    ended = pod.calls(TASKS, "add", x=3, y=0.5).run()
    assert ended.code == 0, ended.stderr
    assert dict(ended.outputs.literals) == {"o0": literal(3.5), "o1": literal("3+0.5")}
    assert ended.verdict is not None
    assert (ended.verdict.execution_uid, ended.verdict.path, ended.verdict.attempt) == (pod.uid, NODE, 2)
    times = [ended.verdict.start_time, ended.verdict.code_time, ended.verdict.end_time]
    assert [t.ToMicroseconds() for t in times] == sorted(t.ToMicroseconds() for t in times)
    assert len(ended.message) <= 2500
    assert not ended.is_elsewhere
    assert not ended.stderr


def test_code_comes_as_a_bundle_that_is_first_on_the_path(pod: Pod) -> None:
    (pod.root / "image" / "helper.py").write_text("raise RuntimeError('the one of the image')\n")
    code = bundle_of(
        {
            "flow.py": FLOW,
            "helper.py": "def loud(text): return text.upper()\n",
            "data/mark.txt": "!",
        }
    )
    ended = pod.has_code(code).calls("flow", "shout", text="hello").run()
    assert ended.code == 0, ended.stderr
    assert ended.outputs.literals["o0"] == literal("HELLO!")


def test_code_of_the_image_lies_in_its_working_directory(pod: Pod) -> None:
    (pod.root / "image" / "flow.py").write_text(
        "from volery import task\n\n@task\ndef one() -> int:\n    return 1\n"
    )
    ended = pod.calls("flow", "one").run()
    assert ended.outputs.literals["o0"] == literal(1), ended.stderr


def test_a_task_knows_where_it_is_and_sees_no_credentials(pod: Pod) -> None:
    ended = pod.calls(TASKS, "described").run(
        VOLERY_TRACEPARENT="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        VOLERY_SERVER="https://server:8470",
        VOLERY_DATA_SERVER="https://server:8471",
        VOLERY_TLS_CA_PEM="-----BEGIN CERTIFICATE-----\n",
    )
    lines = ended.outputs.literals["o0"].string_value.split("\n")
    assert lines[:4] == ["demo/development/e1", NODE, "2", "00-" + "1" * 32 + "-" + "2" * 16 + "-01"]
    assert lines[4] == lines[5] != str(pod.root / "image")
    assert lines[6] == ""
    assert (
        lines[7] == "VOLERY_ATTEMPT VOLERY_EXECUTION VOLERY_EXECUTION_UID VOLERY_INPUT_DIR VOLERY_NODE"
        " VOLERY_OUTPUT_DIR VOLERY_TLS_CA"
    )
    assert lines[8] == ""


def test_programs_that_a_task_starts_do_not_get_the_token(pod: Pod) -> None:
    ended = pod.calls(TASKS, "shown").run(MINE="yes")
    shown = ended.outputs.literals["o0"].string_value
    assert "MINE=yes" in shown
    assert "vat_secret" not in shown


def test_the_context_reaches_the_server_with_the_attempts_token(pod: Pod) -> None:
    ended = pod.calls(TASKS, "access").run(
        VOLERY_SERVER="https://server:8470",
        VOLERY_DATA_SERVER="https://server:8471",
        VOLERY_TLS_CA_PEM="the authorities\n",
    )
    server, ca_file, token, data_server = ended.outputs.literals["o0"].string_value.split("\n")
    assert (server, token, data_server) == ("https://server:8470", "vat_secret", "https://server:8471")
    assert Path(ca_file).read_text() == "the authorities\n"


def test_each_pod_draws_its_own_random_numbers(pod: Pod) -> None:
    drawn = {pod.calls(TASKS, "drawn").run().outputs.literals["o0"].integer_value for _ in range(3)}
    assert len(drawn) == 3


def test_inputs_come_by_reference_and_are_verified(pod: Pod) -> None:
    content = literal_map({"x": 7}).SerializeToString()
    pod.calls(TASKS, "noop").variables["VOLERY_INPUTS"] = None
    pod.variables["VOLERY_INPUTS_URI"] = pod.store("attempt/inputs.pb", content)
    pod.variables["VOLERY_INPUTS_SHA256"] = hashlib.sha256(content).hexdigest()
    assert pod.run().outputs.literals["o0"] == literal(7)
    pod.store("attempt/inputs.pb", content + b"\0")
    ended = pod.run()
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.kind) == ("InputsUnavailable", FAILURE_KIND_SYSTEM)
    (pod.root / "store" / "attempt" / "inputs.pb").unlink()
    ended = pod.run()
    assert (ended.failure.code, ended.failure.recoverable) == ("InputsUnavailable", True)


def test_outputs_that_are_large_lie_in_the_store_and_so_does_a_verdict_that_is(pod: Pod) -> None:
    ended = pod.calls(TASKS, "text", size=100_000).run()
    assert not ended.is_elsewhere
    offloaded = ended.outputs.literals["o0"].offloaded_value
    assert offloaded.uri.startswith(pod.prefix)
    stored = Path(offloaded.uri.removeprefix("file://")).read_bytes()
    assert hashlib.sha256(stored).hexdigest() == offloaded.sha256
    ended = pod.calls(TASKS, "text", size=2_000).run()
    assert ended.is_elsewhere
    assert ended.outputs.literals["o0"] == literal("é" * 2_000)
    assert ended.message.endswith(f" uri:{pod.prefix}/verdict.pb\n")


def test_files_lie_in_the_store(pod: Pod) -> None:
    blob = pod.calls(TASKS, "written", size=3_000_000).run().outputs.literals["o0"].blob_value
    assert blob.size_bytes == 3_000_000
    assert Path(blob.uri.removeprefix("file://")).stat().st_size == 3_000_000


@pytest.mark.parametrize(("limit", "elsewhere"), [("0", True), ("200", True), ("400", False)])
def test_how_much_of_a_verdict_stands_in_the_pod_is_a_setting(pod: Pod, limit: str, elsewhere: bool) -> None:
    ended = pod.calls(TASKS, "noop", x=1).run(VOLERY_VERDICT_LIMIT=limit)
    assert ended.is_elsewhere is elsewhere
    assert ended.outputs.literals["o0"] == literal(1)


def test_an_exception_is_a_failure_with_its_cause_and_stands_in_the_log(pod: Pod) -> None:
    ended = pod.calls(TASKS, "raises", size=3).run()
    assert ended.code == 1
    failure = ended.failure
    assert (failure.code, failure.kind, failure.recoverable) == ("ValueError", FAILURE_KIND_USER, True)
    assert failure.message == "xxx"
    assert 'raise ValueError("x" * size)' in failure.trace
    assert "volery/_" not in failure.trace
    assert failure.cause.code == "KeyError"
    assert "ValueError: xxx" in ended.stderr
    assert "KeyError: 'first'" in ended.stderr


def test_what_is_cut_of_a_failure_lies_in_the_store(pod: Pod) -> None:
    ended = pod.calls(TASKS, "raises", size=10_000_000).run()
    assert ended.code == 1
    assert ended.is_elsewhere
    assert len(ended.failure.message) < 20_000
    assert "bytes cut" in ended.failure.message
    whole = Path(ended.failure.trace_uri.removeprefix("file://")).read_text()
    assert "x" * 10_000_000 in whole
    assert "KeyError: 'first'" in whole
    assert len(ended.stderr) < 100_000


@pytest.mark.parametrize(
    ("name", "code", "kind", "recoverable"),
    [
        ("gives_up", "NonRecoverable", FAILURE_KIND_USER, False),
        ("store_is_away", "StorageError", FAILURE_KIND_SYSTEM, True),
        ("exits", "SystemExit", FAILURE_KIND_USER, True),
        ("out_of_memory", "MemoryError", FAILURE_KIND_USER, True),
    ],
)
def test_what_a_task_raises_says_who_is_to_blame(
    pod: Pod, name: str, code: str, kind: int, recoverable: bool
) -> None:
    ended = pod.calls(TASKS, name, x=0).run()
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.kind, ended.failure.recoverable) == (code, kind, recoverable)


@pytest.mark.parametrize(
    "name", ["unspeakable", "deceiving", "undecodable", "deep", "grouped", "endless_causes"]
)
def test_exceptions_that_misbehave_are_failures_all_the_same(pod: Pod, name: str) -> None:
    ended = pod.calls(HOSTILE, name, x=3).run()
    assert ended.code == 1
    assert ended.failure.code
    assert ended.failure.trace


@pytest.mark.parametrize(
    ("module", "qualname", "says"),
    [
        ("no_such_module", "f", "No module named 'no_such_module'"),
        (TASKS, "nothing", "has no nothing"),
        (TASKS, "File", "not a task"),
    ],
)
def test_code_that_cannot_be_loaded_is_not_tried_again(
    pod: Pod, module: str, qualname: str, says: str
) -> None:
    ended = pod.calls(module, qualname).run()
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.recoverable) == ("CodeNotLoadable", False)
    assert says in ended.failure.message


def test_inputs_that_do_not_fit_are_refused_by_name(pod: Pod) -> None:
    ended = pod.calls(TASKS, "noop", x="seven").run()
    assert ended.failure.code == "InputInvalid"
    assert "input x is not int" in ended.failure.message


def test_output_comes_at_once_and_in_order(pod: Pod) -> None:
    ended = pod.calls(TASKS, "talks", x=1).run()
    assert ended.stdout == "to everybody\npast python\nfrom a child\n"
    assert ended.stderr == "complaint\n"


def test_a_task_that_is_told_to_end_cleans_up_and_says_so(pod: Pod) -> None:
    process = pod.calls(TASKS, "talks_and_waits", x=1).start("run")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"  # live, though it is a pipe
    process.send_signal(signal.SIGTERM)
    ended = pod.ended(process)
    assert ended.code == 143
    assert "cleaned up" in ended.stdout
    assert (ended.failure.code, ended.failure.kind) == ("Terminated", FAILURE_KIND_SYSTEM)
    assert ended.failure.recoverable


def test_what_fails_on_the_way_out_was_told_to_end(pod: Pod) -> None:
    process = pod.calls(TASKS, "fails_on_the_way_out", x=1).start("run")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    ended = pod.ended(process)
    assert (ended.code, ended.failure.code) == (143, "Terminated")


def test_a_task_that_returns_in_spite_of_being_told_to_end_has_returned(pod: Pod) -> None:
    process = pod.calls(TASKS, "refuses_to_end", x=5).start("run")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    ended = pod.ended(process)
    assert ended.code == 0
    assert ended.outputs.literals["o0"] == literal(5)


def test_threads_and_programs_that_a_task_leaves_do_not_hold_the_pod(pod: Pod) -> None:
    ended = pod.calls(TASKS, "leaves_things_behind", x=4).run()
    assert ended.code == 0
    assert ended.outputs.literals["o0"] == literal(4)
    assert ended.stderr == "at exit\n"


def test_a_fork_that_comes_back_says_nothing_in_its_parents_place(pod: Pod) -> None:
    ended = pod.calls(TASKS, "forks", x=4).run()
    assert ended.code == 0
    assert ended.outputs.literals["o0"] == literal(4)


@pytest.mark.parametrize(("name", "x", "code"), [("vanishes", 3, 3), ("is_killed", 0, -9)])
def test_a_process_that_vanishes_leaves_no_verdict(pod: Pod, name: str, x: int, code: int) -> None:
    ended = pod.calls(TASKS, name, x=x).run()
    assert ended.code == code
    assert ended.verdict is None


def test_bundles_are_refused_when_they_are_not_what_was_promised(pod: Pod) -> None:
    code = bundle_of({"flow.py": FLOW})
    for wrong, says in (
        ({"VOLERY_BUNDLE_SHA256": "0" * 64}, "another hash"),
        ({"VOLERY_BUNDLE_SIZE": "3"}, "not 3"),
        ({"VOLERY_BUNDLE_LIMITS": "10,10,10,10"}, "bundle_size_limit allows 10"),
        ({"VOLERY_BUNDLE_LIMITS": "10000,10,10,10"}, "bundle_unpacked_limit allows 10"),
    ):
        ended = pod.calls("flow", "shout", text="x").has_code(code, **wrong).run()
        assert ended.code == 1
        assert (ended.failure.code, ended.failure.recoverable) == ("BundleRefused", False)
        assert says in ended.failure.message, ended.failure
        assert "BundleRefused" in ended.stderr


@pytest.mark.parametrize("content", [b"", b"no archive", bundle_of({"../flow.py": FLOW})])
def test_bundles_that_are_damaged_or_unsafe_are_refused(pod: Pod, content: bytes) -> None:
    ended = pod.calls("flow", "shout", text="x").has_code(content).run()
    assert (ended.failure.code, ended.failure.kind) == ("BundleRefused", FAILURE_KIND_USER)
    assert not list(pod.root.rglob("flow.py"))


def test_a_bundle_that_cannot_be_fetched_is_the_platforms_fault(pod: Pod) -> None:
    pod.calls("flow", "shout", text="x").has_code(bundle_of({"flow.py": FLOW}))
    pod.variables["VOLERY_BUNDLE_URI"] = "file:///nowhere/at/all"
    ended = pod.run()
    assert (ended.failure.code, ended.failure.kind) == ("BundleUnavailable", FAILURE_KIND_SYSTEM)
    assert ended.failure.recoverable


def test_outputs_that_cannot_be_stored_are_a_failure(pod: Pod) -> None:
    (pod.root / "store").write_text("in the way")
    ended = pod.calls(TASKS, "text", size=2_000).run()
    assert ended.code == 1
    assert (ended.failure.code, ended.failure.kind) == ("OutputsNotStored", FAILURE_KIND_SYSTEM)
    ended = pod.calls(TASKS, "text", size=20_000).run()
    assert (ended.failure.code, ended.failure.kind) == ("StorageError", FAILURE_KIND_SYSTEM)


@pytest.mark.parametrize("limit", ["2500", "0"])
def test_a_failure_that_cannot_be_stored_is_told_as_far_as_it_may(pod: Pod, limit: str) -> None:
    (pod.root / "store").write_text("in the way")
    ended = pod.calls(TASKS, "raises", size=100_000).run(VOLERY_VERDICT_LIMIT=limit)
    assert ended.code == 1
    assert not ended.is_elsewhere
    assert len(ended.message) <= 4096
    assert ended.failure.code == "ValueError"
    assert ("xxx" in ended.failure.message) is (limit != "0")
    assert ("xxx" in ended.failure.trace) is (limit != "0")


def test_why_nothing_could_be_stored_is_told_even_where_the_tasks_own_words_are_not(pod: Pod) -> None:
    ended = pod.calls(TASKS, "raises", size=10).run(
        VOLERY_VERDICT_LIMIT="0",
        VOLERY_STORAGE_PREFIX="s3://bucket/volery/attempt",
        VOLERY_DATA_SERVER="http://192.0.2.1:1",
    )

    assert ended.failure.code == "ValueError"
    assert "refusing to send a token to http://192.0.2.1:1" in ended.failure.message
    assert "xxx" not in ended.failure.message


def test_a_verdict_that_can_be_left_nowhere_is_told_by_the_exit_code(pod: Pod) -> None:
    pod.verdict_file.mkdir()
    process = pod.calls(TASKS, "noop", x=1).start("run")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 74
    assert b"cannot write the verdict" in stderr


def test_a_longer_message_of_an_earlier_attempt_does_not_show_through(pod: Pod) -> None:
    pod.verdict_file.write_text("old\n" * 4000)
    ended = pod.calls(TASKS, "noop", x=1).run()
    assert ended.message.count("\n") == 1
    assert ended.outputs.literals["o0"] == literal(1)


def test_a_pod_without_the_usual_directory_for_scratch_takes_another(pod: Pod) -> None:
    ended = pod.calls(TASKS, "described").run(TMPDIR=str(pod.root / "nowhere"))
    assert ended.code == 0
    assert str(pod.root) not in ended.outputs.literals["o0"].string_value.split("\n")[4]


GOOD = {
    "VOLERY_BUNDLE_URI": "file:///x",
    "VOLERY_BUNDLE_SHA256": "0" * 64,
    "VOLERY_BUNDLE_SIZE": "1",
}


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("VOLERY_EXECUTION", None, "VOLERY_EXECUTION is not set"),
        ("VOLERY_EXECUTION", "e1", "not project/domain/name"),
        ("VOLERY_EXECUTION", "a//b", "not project/domain/name"),
        ("VOLERY_STORAGE_PREFIX", "", "VOLERY_STORAGE_PREFIX is empty"),
        ("VOLERY_STORAGE_PREFIX", "/tmp/x", "not a URI"),
        ("VOLERY_VERDICT_LIMIT", "many", "not a number from 0 to 4096"),
        ("VOLERY_VERDICT_LIMIT", "4097", "not a number from 0 to 4096"),
        ("VOLERY_INLINE_LIMIT", "-1", "not a number"),
        ("VOLERY_INLINE_LIMIT", "²", "not a number"),
        ("VOLERY_INPUTS", None, "neither VOLERY_INPUTS nor VOLERY_INPUTS_URI"),
        ("VOLERY_INPUTS", "%%%", "VOLERY_INPUTS is not base64"),
        ("VOLERY_INPUTS_URI", "file:///x", "VOLERY_INPUTS_SHA256 is not set"),
        ("VOLERY_TASK_MODULE", None, "VOLERY_TASK_MODULE is not set"),
        ("VOLERY_TASK_QUALNAME", "", "VOLERY_TASK_QUALNAME is empty"),
        ("VOLERY_BUNDLE_SHA256", "0" * 63 + "G", "not a SHA-256"),
        ("VOLERY_BUNDLE_SIZE", "1e3", "not a number"),
        ("VOLERY_BUNDLE_LIMITS", "1,2", "not four numbers"),
    ],
)
def test_a_contract_that_is_broken_is_told_by_variable(
    pod: Pod, variable: str, value: str | None, says: str
) -> None:
    pod.calls(TASKS, "noop", x=1)
    pod.variables |= GOOD
    ended = pod.run(**{variable: value})
    assert ended.code == 64
    assert says in ended.stderr
    assert (ended.failure.code, ended.failure.kind) == ("ContractBroken", FAILURE_KIND_SYSTEM)
    assert says in ended.failure.message
    assert not ended.failure.recoverable


@pytest.mark.parametrize("variable", ["VOLERY_EXECUTION_UID", "VOLERY_NODE", "VOLERY_ATTEMPT"])
def test_without_knowing_whose_verdict_it_would_be_the_message_is_a_text(pod: Pod, variable: str) -> None:
    ended = pod.calls(TASKS, "noop", x=1).run(**{variable: None})
    assert ended.code == 64
    assert ended.verdict is None
    assert f"{variable} is not set" in ended.message
    ended = pod.run(VOLERY_VERDICT_FILE=None)
    assert ended.code == 64
    assert "VOLERY_VERDICT_FILE is not set" in ended.stderr


def test_all_that_is_wrong_is_told_at_once(pod: Pod) -> None:
    ended = pod.run(VOLERY_EXECUTION=None, VOLERY_ATTEMPT="0", VOLERY_STORAGE_PREFIX="x y://")
    for name in ("EXECUTION", "ATTEMPT", "STORAGE_PREFIX", "TASK_MODULE", "TASK_QUALNAME", "INPUTS"):
        assert f"VOLERY_{name}" in ended.stderr


def test_inputs_never_stand_in_a_complaint(pod: Pod) -> None:
    secret = base64.b64encode(b"secret").decode()
    ended = pod.calls(TASKS, "noop").run(VOLERY_INPUTS=secret + "%")
    assert ended.code == 64
    assert secret not in ended.stderr + ended.message


@pytest.mark.parametrize("what", [[], ["walk"], ["run", "twice"]])
def test_anything_else_is_told_how_to_use_it(pod: Pod, what: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "volery._pod", *what], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "usage: python -m volery._pod run | fetch | send | ready" in done.stderr


def test_the_way_to_user_code_loads_nothing_that_talks_to_servers(pod: Pod) -> None:
    (pod.root / "image" / "flow.py").write_text(
        "import sys\nfrom volery import task\n\n"
        "@task\ndef loaded() -> list[str]:\n    return sorted(sys.modules)\n"
    )
    ended = pod.calls("flow", "loaded").run(VOLERY_VERDICT_LIMIT="0")
    loaded = {each.string_value for each in ended.outputs.literals["o0"].collection_value.literals}
    heavy = {
        "asyncio",
        "betterproto2",
        "grpclib",
        "http.client",
        "ssl",
        "urllib.request",
        "json",
        "zipfile",
        "tempfile",
    }
    assert "volery._runtime" in loaded
    assert not loaded & heavy
