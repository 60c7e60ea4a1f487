"""The SDK as users get it: its wheel in an environment that has nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from volery._engine import Engine, EngineSettings

ROOT = Path(__file__).parents[2]

TALK = """
import json, sys
from importlib.util import find_spec

from volery import Remote, RpcError, task, workflow


@task
def double(x: int) -> int:
    return 2 * x


@workflow
def twice(x: int = 4) -> int:
    return double(double(x))


def refusal(call):
    try:
        call()
    except RpcError as error:
        return [type(error).__name__, error.code, error.reason, dict(error.metadata),
                [[each.field, each.code, each.node, each.hint] for each in error.violations]]


def main():
    with Remote(sys.argv[1]) as remote:
        registered = remote.register(twice)
        told = {
            "result": remote.run(twice, {"x": 5}).outputs,
            "unknown": refusal(lambda: remote.execution("nothing")),
            "malformed": refusal(lambda: list(remote.executions(filter="phase ="))),
            "incomplete": refusal(lambda: remote.run(double)),
        }
    told["heavy"] = [name for name in ("grpc", "sqlalchemy", "kubernetes", "pandas") if find_spec(name)]
    told["protobuf"] = bool(find_spec("google") and find_spec("google.protobuf"))
    told["files"] = registered.bundle_files
    print(json.dumps(told))


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def empty_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of the SDK and what that asks for; gives its interpreter."""
    place = tmp_path_factory.mktemp("wheels")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.skip("uv builds the wheel; it is not installed")

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    run(uv, "build", "--wheel", "--quiet", "--out-dir", str(place), str(ROOT / "clients" / "python"))
    (wheel,) = place.glob("volery-*.whl")
    run(uv, "venv", "--quiet", "--python", sys.executable, str(place / "venv"))
    python = place / "venv" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--python", str(python), str(wheel))
    return python


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, empty_environment: Path) -> Iterator[Engine]:
    """A live server, whose tasks run in the empty environment."""
    settings = EngineSettings(
        synchronous="off", slots=1, listen="127.0.0.1:0", task_python=str(empty_environment)
    )
    with Engine(tmp_path_factory.mktemp("engine"), settings) as engine:
        yield engine


def test_the_wheel_alone_talks_to_a_live_server(
    empty_environment: Path, engine: Engine, tmp_path: Path
) -> None:
    script = tmp_path / "talk.py"
    script.write_text(TALK)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VOLERY_"))
    }
    done = subprocess.run(
        [str(empty_environment), str(script), engine.server],
        cwd=tmp_path,
        env={**environment, "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["result"] == 20
    assert told["files"] == ["talk.py"]
    assert told["unknown"][:3] == ["NotFoundError", "NOT_FOUND", "NOT_FOUND"]
    assert told["unknown"][3]["resource_name"] == "nothing"
    assert told["malformed"][:3] == ["InvalidError", "INVALID_ARGUMENT", "INVALID_ARGUMENT"]
    assert told["malformed"][4], "the complaints were lost on the way"
    assert told["incomplete"][4], "the complaints were lost on the way"
    assert told["heavy"] == []
    assert not told["protobuf"]


def test_the_wheel_holds_what_it_should_and_no_more(empty_environment: Path) -> None:
    code = "import volery, pathlib, json; print(pathlib.Path(volery.__file__).parent)"
    place = Path(subprocess.check_output([str(empty_environment), "-c", code], text=True).strip())
    names = {path.relative_to(place).as_posix() for path in place.rglob("*.py")}
    assert {
        "__init__.py",
        "_engine_child.py",
        "_process/zygote.py",
        "_idl/voleryidl/core/v1/__init__.py",
    } <= names
    assert not any("test" in Path(name).parts for name in names)


def test_importing_the_sdk_loads_nothing_that_talks_to_a_server(empty_environment: Path) -> None:
    code = "import sys, volery; print({'grpclib', 'betterproto2', 'asyncio'} & set(sys.modules))"
    assert subprocess.check_output([str(empty_environment), "-c", code], text=True).strip() == "set()"
