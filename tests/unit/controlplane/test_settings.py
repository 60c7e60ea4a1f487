from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from volery_controlplane.settings import BadSetting, Settings, environment_name


def test_what_is_given_wins_over_the_environment_and_that_over_the_defaults() -> None:
    environment = {"VOLERY_LISTEN": "127.0.0.1:1", "VOLERY_SYNCHRONOUS": "normal"}
    settings = Settings.load(environment, listen="127.0.0.1:2", synchronous=None)
    assert settings.listen == "127.0.0.1:2"
    assert settings.synchronous == "normal"
    assert settings.database == Settings().database


def test_every_kind_of_knob_is_read_from_the_environment() -> None:
    settings = Settings.load(
        {
            "VOLERY_MIGRATE": "yes",
            "VOLERY_STORAGE": "/srv/volery",
            "VOLERY_LEASE": "2.5",
            "VOLERY_DOMAINS": "test, live",
            "VOLERY_MESSAGE_SIZE_LIMIT": "1000",
        }
    )
    assert settings.migrate
    assert settings.storage == Path("/srv/volery")
    assert settings.lease == timedelta(seconds=2.5)
    assert settings.domains == ("test", "live")
    assert settings.message_size_limit == 1000


def test_every_knob_can_be_read_back_from_text() -> None:
    for knob in fields(Settings):
        value = getattr(Settings(), knob.name)
        match value:
            case timedelta():
                text = str(value.total_seconds())
            case tuple():
                text = ",".join(value)
            case _:
                text = str(value)
        assert Settings.load({environment_name(knob.name): text}) == Settings(), knob.name


def test_every_knob_is_explained() -> None:
    explained = Settings.__doc__ or ""
    assert [knob.name for knob in fields(Settings) if f"{knob.name}: " not in explained] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VOLERY_LEASE", "soon"),
        ("VOLERY_LEASE", "0"),
        ("VOLERY_MIGRATE", "perhaps"),
        ("VOLERY_SYNCHRONOUS", "sometimes"),
        ("VOLERY_DOMAINS", ""),
        ("VOLERY_MESSAGE_SIZE_LIMIT", "-1"),
        ("VOLERY_LOG_LEVEL", "loud"),
        ("VOLERY_LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told_by_name(name: str, text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        Settings.load({name: text})
    assert name.removeprefix("VOLERY_").lower() in str(caught.value).lower()


def test_a_knob_that_is_none_is_told() -> None:
    with pytest.raises(BadSetting, match="colour"):
        Settings.load({}, colour="red")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "database"
    path.write_text("postgresql://volery:secret@db.example/volery\n")
    path.chmod(0o600)
    return path


def test_the_database_is_read_from_a_file_where_it_has_a_password(kept: Path) -> None:
    settings = Settings.load({"VOLERY_DATABASE_FILE": str(kept)})
    assert settings.database == "postgresql://volery:secret@db.example/volery"
    assert Settings.load({}, database_file=kept).database == settings.database


def test_a_database_file_is_for_its_owner_alone(kept: Path) -> None:
    kept.chmod(0o644)
    with pytest.raises(BadSetting, match=r"database_file: .*chmod 600"):
        Settings.load({"VOLERY_DATABASE_FILE": str(kept)})


@pytest.mark.parametrize("state", ["gone", "empty"])
def test_a_database_file_that_says_nothing_is_told(kept: Path, state: str) -> None:
    kept.unlink() if state == "gone" else kept.write_text(" \n")
    with pytest.raises(BadSetting, match="database_file: "):
        Settings.load({"VOLERY_DATABASE_FILE": str(kept)})


def test_the_database_is_told_once(kept: Path) -> None:
    with pytest.raises(BadSetting, match="keep one of them"):
        Settings.load({"VOLERY_DATABASE": "sqlite:///here.db"}, database_file=kept)
