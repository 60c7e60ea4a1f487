"""What tasks say of their surroundings, from the decorator to the process that runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from volery.errors import CompilationError, ExecutionFailedError
from volery.launch_plan import LaunchPlan
from volery.register import load_module
from volery.remote import LaunchOptions, Remote
from volery.testing import embedded_engine

VALUE = "hunter2-of-the-test"

FLOW = '''
from __future__ import annotations

import os

from volery import (
    ContainerTask, File, OutputLocation, Secret, ShellTask, current_context, map_task, task, workflow,
)


@task(environment={"A": "task", "B": "task", "C": "task"})
def variables() -> list[str]:
    return [os.environ[name] for name in ("A", "B", "C", "D")]


@workflow
def layered() -> list[str]:
    return variables.with_overrides(environment={"B": "node", "D": "node"})()


PASSWORD = Secret("database", "password")
CERTIFICATE = Secret("database", "certificate", file="/var/secrets/certificate")


@task(secret_requests=[PASSWORD, CERTIFICATE])
def connect() -> list[str]:
    secrets = current_context().secrets
    print("connected as", len(secrets.get("database", "password")))
    return [
        secrets.get("database", "password"),
        os.environ["DATABASE_PASSWORD"],
        secrets.get("database", "certificate"),
        secrets.path("database", "certificate").name,
    ]


@task(secret_requests=[Secret("database", "nothing")], retries=3)
def lacking() -> None:
    pass


@task
def prying() -> str:
    return current_context().secrets.get("database", "password")


count = ShellTask(
    "count-words",
    """
    echo "looking for {inputs.word}" >&2
    grep -c {inputs.word} {inputs.text} > {outputs.lines} || test $? = 1
    sort "{inputs.text}" > {outputs.sorted}
    """,
    inputs={"word": str, "text": File},
    outputs={"lines": int, "sorted": OutputLocation(File, "{inputs.word}/sorted.txt")},
)

failing = ShellTask("failing", "echo no such luck >&2; false | cat; echo never", outputs={})

echo = ShellTask(
    "echo", 'printf "%s" {inputs.text} > {outputs.said}', inputs={"text": str}, outputs={"said": str}
)

compiled = ContainerTask("compiled", "busybox:1", ["sh", "-c", "exit {{.inputs.code}}"], inputs={"code": int})


@task
def written(text: str) -> File:
    file = File.new("text.txt")
    file.path.write_text(text)
    return file


@task
def read(lines: int, sorted: File) -> str:
    return f"{lines}: {sorted.open().read()}"


@workflow
def counted(text: str, word: str) -> str:
    found = count(text=written(text), word=word)
    return read(found.lines, found.sorted)


@workflow
def echoed(texts: list[str]) -> list[str]:
    return map_task(echo)(text=texts)
'''


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("secrets")
    (root / "database").mkdir()
    (root / "database" / "password").write_text(f"{VALUE}\n")
    (root / "database" / "certificate").write_text("PEM")
    return root


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    file = tmp_path_factory.mktemp("flow") / "surface_flow.py"
    file.write_text(FLOW)
    yield load_module(str(file))
    sys.path.remove(str(file.parent))
    del sys.modules["surface_flow"]


@pytest.fixture(scope="module")
def remote(secrets: Path, flow: ModuleType) -> Iterator[Remote]:
    with embedded_engine(slots=2, secrets=str(secrets)) as remote:
        yield remote


def test_an_execution_lays_its_variables_over_the_plans_over_the_nodes_over_the_tasks(
    remote: Remote, flow: ModuleType
) -> None:
    plan = LaunchPlan("layered_plan", flow.layered, environment={"C": "plan", "D": "plan"})
    remote.register(plan, activate=True)
    assert remote.run(plan).outputs == ["task", "node", "plan", "plan"]
    given = LaunchOptions(environment={"D": "execution"})
    assert remote.run(plan, options=given).outputs == ["task", "node", "plan", "execution"]


def test_variables_of_the_platform_are_nobodys_to_set(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.layered)
    with pytest.raises(Exception, match="must not begin with VOLERY_"):
        remote.launch(flow.layered, options=LaunchOptions(environment={"VOLERY_TOKEN": "mine"}))


def test_a_task_gets_the_secrets_it_asks_for_and_a_changed_one_reaches_the_next_attempt(
    remote: Remote, flow: ModuleType, secrets: Path
) -> None:
    remote.register(flow.connect)
    run = remote.run(flow.connect)
    assert run.outputs == [VALUE, VALUE, "PEM", "certificate"]
    (secrets / "database" / "password").write_text("another")
    assert remote.run(flow.connect).outputs[:2] == ["another", "another"]
    (secrets / "database" / "password").write_text(f"{VALUE}\n")


def test_a_secrets_value_is_in_no_log_and_no_list_of_processes(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.connect)
    run = remote.run(flow.connect)
    state = Path(remote.config.server.removeprefix("unix://")).parent
    for log in (state / "logs").iterdir():
        assert VALUE not in log.read_text()
    assert all(VALUE.encode() not in piece.data for piece in run.logs())
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert VALUE.encode() not in process.read_bytes()
        except OSError:
            continue


def test_a_missing_secret_fails_at_once_and_says_where_to_put_it(
    remote: Remote, flow: ModuleType, secrets: Path
) -> None:
    remote.register(flow.lacking)
    with pytest.raises(ExecutionFailedError) as failure:
        remote.run(flow.lacking)
    assert "secret database/nothing" in str(failure.value)
    assert f"put the value into the file {secrets / 'database' / 'nothing'}" in str(failure.value)
    run = remote.execution(failure.value.execution.name)
    assert [attempt.attempt for attempt in run.attempts()] == [1]


def test_a_task_reads_only_the_secrets_that_it_asked_for(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.prying)
    with pytest.raises(ExecutionFailedError, match="did not ask for secret database/password"):
        remote.run(flow.prying)


def test_a_shell_task_takes_and_gives_files_and_numbers(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.counted)
    run = remote.run(flow.counted, {"text": "a tern\na gull\ntwo terns\n", "word": "tern"})
    assert run.outputs == "2: a gull\na tern\ntwo terns\n"
    said = b"".join(piece.data for piece in run.logs("n1") or run.logs())
    assert b"looking for tern" in said


@pytest.mark.parametrize(
    "hostile", ["$(touch pwned)", "`id`", "a'; id; '", 'a"; id; "', "$HOME", "-n", "a\nb *"]
)
def test_no_value_is_read_as_code(remote: Remote, flow: ModuleType, hostile: str) -> None:
    remote.register(flow.echo)
    assert remote.run(flow.echo, {"text": hostile}).outputs == hostile
    assert flow.echo(text=hostile) == hostile


def test_a_shell_task_is_mapped_like_any_task(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.echoed)
    assert remote.run(flow.echoed, {"texts": ["a", "b c"]}).outputs == ["a", "b c"]


def test_a_failing_script_tells_its_exit_code_and_its_last_words(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.failing)
    with pytest.raises(ExecutionFailedError, match="ended with exit code 1: no such luck") as failure:
        remote.run(flow.failing)
    assert failure.value.execution.failure is not None
    assert failure.value.execution.failure.code == "ScriptFailed"


def test_a_container_task_says_which_worker_it_needs(remote: Remote, flow: ModuleType) -> None:
    remote.register(flow.compiled)
    with pytest.raises(ExecutionFailedError, match="--launcher kubernetes"):
        remote.run(flow.compiled, {"code": 0})
    with pytest.raises(Exception, match="runs its program in a pod"):
        flow.compiled(code=0)


def test_placeholders_of_a_container_task_are_checked_when_it_is_registered(
    remote: Remote, flow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow.compiled, "arguments", ("{{.inputs.cod}}",))
    with pytest.raises(CompilationError, match="there is no input 'cod'"):
        remote.register(flow.compiled)


def test_a_task_is_tried_in_plain_python_with_secrets_of_the_machine(
    flow: ModuleType, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLERY_SECRETS", str(secrets))
    assert flow.prying() == VALUE
    monkeypatch.setitem(os.environ, "DATABASE_PASSWORD", "from a variable")
    assert flow.prying() == "from a variable"
