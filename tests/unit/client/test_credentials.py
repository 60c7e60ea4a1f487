from __future__ import annotations

from pathlib import Path

import pytest
from support.certificates import Authority
from volery._addresses import Address
from volery._connection import Connection
from volery.client import Client
from volery.config import Config
from volery.credentials import Bearer, Credentials
from volery.errors import ConfigurationError
from volery.remote import Remote

TOKEN = "vol_0123456789ab_" + "s" * 43


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    return path


def test_a_token_is_read_from_its_file_when_needed_and_again_when_refused(token_file: Path) -> None:
    bearer = Bearer(Credentials(token_file=str(token_file)))
    assert bearer.token() == TOKEN
    assert not bearer.renew()
    token_file.write_text("another")
    assert bearer.token() == TOKEN
    assert bearer.renew()
    assert bearer.token() == "another"


def test_a_token_that_was_given_does_not_change() -> None:
    bearer = Bearer(Credentials(token=TOKEN))
    assert bearer.token() == TOKEN
    assert not bearer.renew()
    assert Bearer(Credentials()).token() == ""


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (TOKEN, 0o644, "can be read by others; run: chmod 600"),
        (TOKEN, 0o620, "can be read by others"),
        ("", 0o600, "is empty"),
        ("two words", 0o600, "holds no token"),
        ("tökén", 0o600, "holds no token"),
    ],
)
def test_a_file_that_will_not_do_is_told_without_its_content(
    token_file: Path, content: str, mode: int, told: str
) -> None:
    token_file.write_text(content)
    token_file.chmod(mode)
    if mode == 0o620:
        token_file.chmod(0o604)
    with pytest.raises(ConfigurationError, match=told) as caught:
        Bearer(Credentials(token_file=str(token_file))).token()
    assert not content or content not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        Bearer(Credentials(token_file=str(tmp_path / "none"))).token()


@pytest.mark.parametrize("server", ["volery.example:8470", "10.0.0.7:1", "http://volery.example"])
def test_no_token_is_sent_where_others_can_read_it(server: str) -> None:
    with pytest.raises(ConfigurationError, match="write https://"):
        Connection(Address.parse(server), Credentials(token=TOKEN))


@pytest.mark.parametrize(
    "server", ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:///run/volery.sock", "https://volery.example"]
)
def test_a_token_is_sent_where_nobody_else_can_read_it(server: str) -> None:
    Connection(Address.parse(server), Credentials(token=TOKEN)).close()


async def test_what_is_said_about_tls_means_tls(tmp_path: Path) -> None:
    ca = str(Authority(tmp_path).certificate)
    said = Credentials(token=TOKEN, tls_ca=ca)
    assert Client("volery.example:8470", credentials=said).connection.address.tls
    assert not Client("http://localhost:8470", credentials=said).connection.address.tls
    assert Client("volery.example:8470", credentials=said).connection.address.port == 8470


def test_files_for_tls_that_will_not_do_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ann, bob = authority.client("ann"), authority.client("bob")
    with pytest.raises(ConfigurationError, match=r"tls_ca .*none cannot be used: No such file"):
        Credentials(tls_ca=str(tmp_path / "none")).context()
    with pytest.raises(ConfigurationError, match="key values mismatch"):
        Credentials(tls_client_certificate=str(ann.certificate), tls_client_key=str(bob.key)).context()
    ann.key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Credentials(tls_client_certificate=str(ann.certificate), tls_client_key=str(ann.key)).context()


# --- where they come from ---


def written(directory: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    path = directory / "config.toml"
    path.write_text(text)
    path.chmod(mode)
    return {"VOLERY_CONFIG": str(path)}


def test_the_file_names_files_as_seen_from_itself(tmp_path: Path) -> None:
    environment = written(tmp_path, 'server = "https://a:1"\ntoken_file = "token"\ntls_ca = "/etc/ca.pem"\n')
    config = Config.load(environment=environment)
    assert config.token_file == str(tmp_path / "token")
    assert config.tls_ca == "/etc/ca.pem"


def test_what_the_file_says_of_a_server_is_shown_to_no_other(tmp_path: Path) -> None:
    environment = written(tmp_path, f'server = "https://a:1"\ntoken = "{TOKEN}"\ntls_ca = "ca.pem"\n')
    assert Config.load(environment=environment).credentials.token == TOKEN
    same = Config.load(server="https://a:1", project="p", domain="d", environment=environment)
    assert same.credentials.token == TOKEN
    for other in (
        Config.load(server="https://b:1", environment=environment),
        Config.load(environment=environment | {"VOLERY_SERVER": "https://b:1"}),
    ):
        assert other.credentials == Credentials()


def test_the_environment_wins_over_the_file_as_one(tmp_path: Path) -> None:
    environment = written(tmp_path, f'server = "https://a:1"\ntoken = "{TOKEN}"\ntls_ca = "ca.pem"\n')
    config = Config.load(environment=environment | {"VOLERY_TOKEN_FILE": "/run/token"})
    assert (config.token, config.token_file) == ("", "/run/token")
    assert config.tls_ca == str(tmp_path / "ca.pem")


def test_credentials_that_are_given_are_all_there_are(tmp_path: Path) -> None:
    environment = written(tmp_path, f'server = "https://a:1"\ntoken = "{TOKEN}"\n')
    config = Config.load(credentials=Credentials(), environment=environment | {"VOLERY_TOKEN": TOKEN})
    assert config.server == "https://a:1"
    assert config.credentials == Credentials()


def test_two_ways_to_say_one_thing_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="two ways"):
        Config.load(
            environment={"XDG_CONFIG_HOME": str(tmp_path), "VOLERY_TOKEN": "t", "VOLERY_TOKEN_FILE": "f"}
        )


def test_a_configuration_file_with_a_token_is_private(tmp_path: Path) -> None:
    environment = written(tmp_path, f'server = "https://a:1"\ntoken = "{TOKEN}"\n', 0o644)
    with pytest.raises(ConfigurationError, match="can be read by others") as caught:
        Config.load(environment=environment)
    assert TOKEN not in str(caught.value)
    assert Config.load(environment=written(tmp_path, 'server = "https://a:1"\n', 0o644)).server


def test_nothing_shows_a_token(tmp_path: Path) -> None:
    given = Credentials(token=TOKEN)
    with Remote("localhost:1", credentials=given) as remote:
        assert TOKEN not in repr(given) + repr(remote) + repr(remote.config) + repr(remote.client.connection)
