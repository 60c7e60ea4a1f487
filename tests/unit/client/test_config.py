from __future__ import annotations

from pathlib import Path

import pytest
from volery.config import Config, config_file
from volery.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text('server = "from-file:1"\nproject = "file-project"\n')
    return path


def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(file: Path) -> None:
    environment = {"VOLERY_CONFIG": str(file), "VOLERY_PROJECT": "env-project"}
    assert Config.load(server="given:1", environment=environment) == Config(
        "given:1", "env-project", "development"
    )
    assert Config.load(environment=environment) == Config("from-file:1", "env-project", "development")


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    assert Config.load(environment={"XDG_CONFIG_HOME": str(tmp_path), "APPDATA": str(tmp_path)}) == Config()


def test_the_file_is_not_read_when_nothing_of_it_is_needed(tmp_path: Path) -> None:
    environment = {"VOLERY_CONFIG": str(tmp_path / "missing.toml")}
    found = Config.load(server="s:1", project="p", domain="d", environment=environment)
    assert found == Config("s:1", "p", "d")


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        Config.load(environment={"VOLERY_CONFIG": str(tmp_path / "missing.toml")})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server = ", "is not TOML"),
        ('sever = "x:1"', "unknown setting 'sever'"),
        ("server = 8470", "must be text in quotes"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        Config.load(environment={"VOLERY_CONFIG": str(file)})


def test_the_file_lies_in_the_users_configuration_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert config_file({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "volery" / "config.toml"
