from __future__ import annotations

from pathlib import Path

import pytest
from volery_dataplane.launch.plans import Plans
from volery_dataplane.launch.secrets import LARGEST_VARIABLE, Secrets, SecretUnavailable
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder
from voleryidl.core.v1.task_pb2 import SecretRequest, TaskTemplate

VALUE = "hunter2"
PASSWORD = SecretRequest(group="db", key="password", environment_variable="PASSWORD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "password").write_text(f"{VALUE}\n")
    return tmp_path


def test_a_secret_is_told_by_its_version_and_not_by_its_value(root: Path) -> None:
    secrets = Secrets(root)
    found = secrets.variables([PASSWORD])
    assert VALUE not in repr(found)
    assert secrets.values(found) == {"PASSWORD": VALUE}
    (root / "db" / "password").write_text("longer than before")
    assert secrets.variables([PASSWORD]) != found


def test_what_processes_have_in_common_holds_no_value(root: Path) -> None:
    task = TaskTemplate(secrets=[PASSWORD])
    task.python.module, task.python.qualname = "flow", "work"
    plans = Plans(ProcessSettings(directory=root, slots=1, secrets=root, base_environment={}))
    order = AttemptOrder(AttemptKey(1, "n", 1, 1), task, b"", "p/d/e", "p/d", {}, "", 0)
    first = plans.plan(order)
    assert VALUE not in repr(first.pool)
    assert plans.plan(order).pool == first.pool
    (root / "db" / "password").write_text("changed it is")
    assert plans.plan(order).pool != first.pool
    (root / "db" / "password").unlink()
    with pytest.raises(SecretUnavailable):
        plans.plan(order)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (
            SecretRequest(group="db", key="user", environment_variable="U"),
            "put the value into the file {root}/db/user",
        ),
        (SecretRequest(group="s3", key="user", environment_variable="U"), "secret s3/user"),
        (SecretRequest(group="s3", file="/s"), "make the directory {root}/s3"),
        (SecretRequest(group="db", file="/s"), ""),
        (SecretRequest(group="db", key="password", file="/s"), ""),
        (SecretRequest(group="..", key="x", environment_variable="U"), "a name that is none"),
        (SecretRequest(group="db", key="../../etc/passwd", environment_variable="U"), "a name that is none"),
        (SecretRequest(group=".", key="db", file="/s"), "a name that is none"),
        (SecretRequest(key="x", environment_variable="U"), "a name that is none"),
    ],
    ids=str,
)
def test_what_is_not_there_is_told_with_its_place(root: Path, request_: SecretRequest, told: str) -> None:
    secrets = Secrets(root)
    if not told:
        assert secrets.variables([request_]) == ()
        return
    with pytest.raises(SecretUnavailable) as problem:
        secrets.variables([request_])
    assert told.format(root=root) in str(problem.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b", b"x" * (LARGEST_VARIABLE + 1)])
def test_what_no_variable_can_hold_is_refused_and_may_be_a_file(root: Path, content: bytes) -> None:
    (root / "db" / "password").write_bytes(content)
    with pytest.raises(SecretUnavailable, match="ask for it as a file"):
        Secrets(root).variables([PASSWORD])
    assert Secrets(root).variables([SecretRequest(group="db", key="password", file="/p")]) == ()


def test_a_worker_without_secrets_says_how_to_give_it_some() -> None:
    with pytest.raises(SecretUnavailable, match="start it with --secrets DIR"):
        Secrets(None).variables([PASSWORD])
