from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from volery._engine import running_server

FLOW = '''
"""Birds."""
from __future__ import annotations

from dataclasses import dataclass

from volery import LaunchPlan, map_task, task, workflow


@dataclass
class Model:
    depth: int
    score: float


@task
def size(name: str) -> int:
    """Counts letters."""
    print("counting", name)
    return len(name)


@task
def fit(size: int, depth: int) -> Model:
    if depth == 13:
        raise ValueError("unlucky depth")
    return Model(depth, size / depth)


@task
def best(models: list[Model]) -> Model:
    return max(models, key=lambda model: model.score)


@workflow
def search(name: str = "penguins", depths: list[int] = [2, 4, 8]) -> Model:
    """Finds the best depth."""
    return best(map_task(fit, size=size(name))(depth=depths))


@task
def waits(fifo: str) -> str:
    """Runs until somebody writes into a pipe."""
    print("waiting", flush=True)
    with open(fifo) as stream:
        return stream.read()


nightly = LaunchPlan("nightly", search, fixed_inputs={"depths": [4]})
'''

ILLEGAL = """
from volery import task, workflow


@task
def text(x: int) -> str:
    return str(x)


@task
def double(y: int) -> int:
    return 2 * y


@workflow
def wrong(x: int) -> int:
    return double(text(x))
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Cli:
    """The command `volery`, as a process in a user's directory."""

    def __init__(self, place: Path, home: Path) -> None:
        self.place = place
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")},
            "VOLERY_HOME": str(home),
            "XDG_CONFIG_HOME": str(place),
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "volery_cli.main", *arguments],
            cwd=self.place,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **environment: str) -> Done:
        with self.start(*arguments, **environment) as process:
            try:
                out, err = process.communicate(timeout=240)
            except BaseException:
                process.kill()
                raise
            return Done(process.returncode, out, err)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """The command, with an engine that `volery up` runs."""
    place = tmp_path_factory.mktemp("birds")
    (place / "flow.py").write_text(FLOW)
    (place / "illegal.py").write_text(ILLEGAL)
    cli = Cli(place, tmp_path_factory.mktemp("home"))
    with cli.start("up", "--slots", "2", "--synchronous", "normal") as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline().startswith("unix://")
        yield cli
        engine.send_signal(signal.SIGINT)
        engine.communicate(timeout=120)
        assert engine.returncode == 0
    assert running_server(cli.home) is None


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_a_run_prints_its_outputs_to_standard_output_and_the_rest_elsewhere(cli: Cli) -> None:
    done = cli("run", "flow.py:search", "--name", "terns", "--depths", "[2, 5]")
    assert (done.code, done.out) == (0, "depth: 2\nscore: 2.5\n")
    assert "succeeded" in done.err
    assert "2/2" in done.err


def test_a_file_with_one_workflow_needs_no_name(cli: Cli) -> None:
    assert cli("run", "flow.py", "--name", "terns").out == "depth: 2\nscore: 2.5\n"


def test_a_task_and_a_launch_plan_can_be_run(cli: Cli) -> None:
    assert cli("run", "flow.py:size", "--name", "abc").out == "3\n"
    assert cli("run", "flow.py:nightly").out == "depth: 4\nscore: 2.0\n"


def test_a_run_is_a_document_for_programs(cli: Cli) -> None:
    done = cli("run", "flow.py:search", "-o", "json")
    assert done.document["phase"] == "SUCCEEDED"
    assert done.document["outputs"] == {"o0": {"depth": 2, "score": 4.0}}
    as_yaml = cli("run", "-o", "yaml", "flow.py:size", "--name", "abc")
    assert yaml.safe_load(as_yaml.out)["outputs"] == {"o0": 3}


def test_inputs_are_read_from_a_file(cli: Cli) -> None:
    (cli.place / "inputs.json").write_text('{"name": "abcd", "depths": [1]}')
    assert cli("run", "--inputs", "inputs.json", "flow.py:search").out == "depth: 1\nscore: 4.0\n"
    over = cli("run", "--inputs", "inputs.json", "flow.py:search", "--depths", "[2]")
    assert over.code == 2


def test_the_help_of_a_target_shows_its_inputs(cli: Cli) -> None:
    done = cli("run", "flow.py:search", "--help")
    assert done.code == 0
    assert "Finds the best depth." in done.out
    assert "[default: penguins]" in done.out


def test_a_failed_run_shows_the_users_line_first_and_ends_with_1(cli: Cli) -> None:
    done = cli("run", "flow.py:search", "--depths", "[2, 13]")
    assert done.code == 1
    assert done.out == ""
    lines = done.err.splitlines()
    told = next(index for index, line in enumerate(lines) if line.startswith("✘ ValueError: unlucky depth"))
    assert lines[told + 1].startswith("  in fit[1] (n1/1)")
    assert any('File "flow.py", line ' in line and line.endswith("in fit") for line in lines)
    assert any("volery logs" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run", "flow.py:search", "--depths", "deep"], 2, "is not JSON"),
        (["run", "flow.py:search", "--nme", "x"], 2, "--nme"),
        (["run", "flow.py:search", "--server", "x"], 2, "goes before the target"),
        (["run", "flow.py:nothing"], 4, "does not exist"),
        (["run", "nothing.py:x"], 4, "no file nothing.py"),
        (
            ["run", "illegal.py:wrong", "--x", "1"],
            4,
            "illegal.py:17: double(y=…) takes int, but output o0 of text is str",
        ),
        (["run", "--no-wait", "--state", "elsewhere", "flow.py:size", "--name", "x"], 2, "needs a server"),
        (["launch", "nothing"], 3, "no launch plan, workflow or task nothing"),
        (["watch", "nothing"], 3, "NOT_FOUND"),
        (["get", "execution", "nothing"], 3, "NOT_FOUND"),
        (["abort", "nothing"], 3, "NOT_FOUND"),
        (["list", "executions", "--filter", "phase ="], 4, "INVALID_ARGUMENT"),
        (["list", "executions", "--server", "unix:///nowhere.sock"], 5, "nothing listens there"),
        (["list", "executions", "--server", "nonsense:port"], 2, "host:port"),
        (["list", "birds"], 2, "birds"),
        (["activate", "nightly"], 2, "NAME:VERSION"),
    ],
)
def test_what_goes_wrong_is_told_and_has_its_exit_code(
    cli: Cli, arguments: list[str], code: int, told: str
) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert "Traceback" not in done.err


def test_what_breaks_while_the_users_file_is_loaded_is_told_as_theirs(cli: Cli) -> None:
    (cli.place / "broken.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    done = cli("run", "broken.py:x")
    assert done.code == 4
    assert 'broken.py", line 2, in f' in done.err
    assert "ZeroDivisionError" in done.err
    assert "volery_cli" not in done.err


def test_a_package_is_registered_launched_and_found(cli: Cli) -> None:
    first = cli("register", "flow.py", "--activate", "--version", "v1", "-o", "json").document
    assert {entity["name"] for entity in first["entities"]} >= {"flow.search", "flow.size", "nightly"}
    again = cli("register", "flow.py", "--version", "v1")
    assert again.code == 0
    assert "unchanged" in again.out
    assert "created" not in again.out

    launched = cli("launch", "nightly", "--name", "terns", "-o", "json").document
    watched = cli("watch", launched["name"])
    assert watched.code == 0
    assert watched.out == "depth: 4\nscore: 1.25\n"
    found = cli("get", "execution", launched["name"], "-o", "json").document
    assert found["outputs"]["o0"] == {"depth": 4, "score": 1.25}
    assert found["inputs"] == {"name": "terns", "depths": [4]}
    assert list(found["inputs"]) == ["name", "depths"]
    shown = cli("get", "execution", launched["name"]).out
    assert "inputs\n  name: terns\n  depths: [4]\n\noutputs\n  depth: 4\n  score: 1.25\n" in shown
    assert [node["path"] for node in found["nodes"]] == ["n0", "n1", "n1/0", "n2"]

    listed = cli("list", "launch-plans", "-o", "json").document
    assert ("nightly", True) in [(plan["name"], plan["active"]) for plan in listed]
    assert "flow.search" in cli("list", "workflows").out
    shown = cli("get", "workflow", "flow.search:v1").out
    assert "Finds the best depth." in shown
    assert "list[int]" in shown


def test_a_version_is_rolled_back_with_one_command(cli: Cli) -> None:
    for version in ("r1", "r2"):
        assert cli("register", "flow.py:nightly", "--activate", "--version", version).code == 0
    assert cli("activate", "nightly:r1").out == "nightly:r1 is active\n"
    shown = cli("list", "activations", "nightly", "-n", "2", "-o", "json").document
    assert [each["version"] for each in shown] == ["r1", "r2"]
    assert cli("activate", "nightly:r9").code == 3


def test_what_tasks_wrote_is_shown_with_its_node(cli: Cli) -> None:
    name = cli("run", "flow.py:search", "-o", "json").document["name"]
    assert cli("logs", name).out == "size (n0) | counting penguins\n"
    assert cli("logs", name, "n0").out == "counting penguins\n"
    assert cli("logs", name, "--stream", "stderr").out == ""


def test_a_node_is_shown_with_its_attempts(cli: Cli) -> None:
    name = "failing-node"
    cli("run", "--name", name, "flow.py:search", "--depths", "[13]")
    shown = cli("get", "node", name, "n1/0")
    assert "fit[0] (n1/0)" in shown.out
    assert "attempt 1: failed" in shown.out
    assert "unlucky depth" in shown.out
    listed = cli("list", "executions", "--filter", f'name = "{name}"', "-o", "json").document
    assert [each["phase"] for each in listed] == ["FAILED"]


def test_an_aborted_run_ends_with_6_and_tells_why(cli: Cli, fifo: Path) -> None:
    name = f"aborted-{os.getpid()}"
    with cli.start("run", "--name", name, "flow.py:waits", "--fifo", str(fifo)) as process:
        assert process.stderr is not None
        while "running" not in process.stderr.readline():
            pass
        assert cli("abort", name, "--cause", "enough", "--wait").out == f"{name} is aborted\n"
        _, err = process.communicate(timeout=240)
    assert process.returncode == 6
    assert "enough" in err
    repeat = cli("abort", name)
    assert repeat.code == 0
    assert "over already" in repeat.err


def test_an_interrupted_follower_leaves_the_execution_running(cli: Cli, fifo: Path) -> None:
    name = f"left-{os.getpid()}"
    with cli.start("run", "--name", name, "flow.py:waits", "--fifo", str(fifo)) as process:
        assert process.stderr is not None
        while "running" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert f"volery watch {name}" in err
    assert f"volery abort {name}" in err
    threading.Thread(target=fifo.write_text, args=("still here",)).start()
    watched = cli("watch", name)
    assert (watched.code, watched.out) == (0, "still here\n")


def test_logs_are_followed_until_the_end(cli: Cli, fifo: Path) -> None:
    name = f"logs-{os.getpid()}"
    cli("register", "flow.py:waits", "--version", "logs")
    assert (
        cli("launch", "--name", name, "--kind", "task", "flow.waits", "--fifo", str(fifo)).out == f"{name}\n"
    )
    with cli.start("logs", "-f", name) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith("waiting\n")
        fifo.write_text("done")
        process.communicate(timeout=240)
    assert process.returncode == 0


def test_colour_is_left_out_of_pipes(cli: Cli) -> None:
    done = cli("run", "flow.py:search")
    assert "\x1b" not in done.out + done.err


def test_without_unicode_everything_is_ascii(cli: Cli) -> None:
    done = cli("run", "flow.py:search", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.code == 0
    assert (done.out + done.err).isascii()


def test_the_version_of_both_sides_is_told(cli: Cli) -> None:
    told = cli("version").out.splitlines()
    assert told[0].startswith("volery 0.")
    assert told[1].startswith("server 0.")


def test_a_server_refuses_what_its_own_command_refuses(cli: Cli) -> None:
    done = cli("server", "--no-such-option")
    assert done.code == 2
    assert "volery-controlplane" in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["flow.py:search", "--server", "x"], "goes before the target"),
        (["--label", "team", "flow.py:search"], "KEY=VALUE"),
        (["--inputs", "nothing.json", "flow.py:search"], "nothing.json"),
        (["nothing.py:search"], "no file nothing.py"),
    ],
)
def test_wrong_usage_is_told_before_an_engine_starts(tmp_path: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    cli = Cli(tmp_path, tmp_path / ".volery")
    assert told in cli("run", *arguments).err
    assert not cli.home.exists()


def test_a_terminal_says_what_is_awaited_and_takes_it_away_again(cli: Cli) -> None:
    ours, its = os.openpty()
    command = [sys.executable, "-m", "volery_cli.main", "run", "flow.py:nightly"]
    with subprocess.Popen(
        command, cwd=cli.place, env=cli.environment, stdout=subprocess.PIPE, stderr=its, text=True
    ) as process:
        os.close(its)
        told = b""
        with suppress(OSError):  # how the end of a terminal is told
            while piece := os.read(ours, 4096):
                told += piece
        assert process.stdout is not None
        assert process.stdout.read() == "depth: 4\nscore: 2.0\n"
    os.close(ours)
    first, _, rest = told.partition(b"loading flow.py")
    assert first.endswith(b"\x1b[2m")
    assert b"\r\x1b[K" in rest
    assert b"loading" not in rest


def test_without_a_server_a_run_brings_its_own_engine_and_a_second_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)
    cli = Cli(tmp_path, tmp_path / ".volery")
    assert cli("run", "flow.py:size", "--name", "abc").out == "3\n"
    assert running_server(cli.home) is None
    with cli.start("run", "--name", "waiting", "flow.py:waits", "--fifo", str(fifo)) as process:
        assert process.stderr is not None
        while "running" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        while "Stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "volery watch waiting" in err
    assert running_server(cli.home) is None
    with cli.start("watch", "waiting") as process:
        assert process.stderr is not None
        while "running, attempt 2" not in process.stderr.readline():
            pass
        fifo.write_text("went on")
        out, _ = process.communicate(timeout=240)
    assert (process.returncode, out) == (0, "went on\n")
