from __future__ import annotations

from pathlib import Path

import pytest
from support.certificates import Authority
from volery_dataplane.wire.control_plane import OPTIONS
from volery_dataplane.wire.credentials import BadCredentials, Bearer, Credentials, Target, channel

TOKEN = "vol_0123456789ab_" + "s" * 43


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    return path


def test_a_token_is_shown_from_its_file_and_read_again(token_file: Path) -> None:
    bearer = Bearer(Credentials(token_file=str(token_file)))
    assert bearer.metadata() == (("authorization", f"Bearer {TOKEN}"),)
    assert not bearer.renew()
    token_file.write_text("another")
    assert bearer.renew()
    assert bearer.metadata() == (("authorization", "Bearer another"),)
    assert Bearer(Credentials()).metadata() == ()
    assert TOKEN not in repr(Credentials(token=TOKEN))


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        (TOKEN, 0o644, "can be read by others; run: chmod 600"),
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
    with pytest.raises(BadCredentials, match=told) as caught:
        Bearer(Credentials(token_file=str(token_file)))
    assert not content or content not in str(caught.value)


@pytest.mark.parametrize(
    ("server", "target"),
    [
        ("unix:///run/volery.sock", Target("unix:///run/volery.sock", tls=False)),
        ("localhost:8470", Target("localhost:8470", tls=False)),
        ("http://[::1]:8470", Target("[::1]:8470", tls=False)),
        ("https://volery.example:8470/", Target("volery.example:8470", tls=True)),
    ],
)
def test_an_address_says_whether_tls_is_spoken(server: str, target: Target) -> None:
    assert Target.parse(server, Credentials(token=TOKEN)) == target


def test_what_is_said_about_tls_means_tls() -> None:
    said = Credentials(tls_ca="ca.pem")
    assert Target.parse("volery.example:1", said).tls
    assert not Target.parse("http://volery.example:1", said).tls
    assert not Target.parse("unix:///run/volery.sock", said).tls


@pytest.mark.parametrize("server", ["volery.example:8470", "10.0.0.7:1", "http://volery.example:1"])
def test_no_token_is_sent_where_others_can_read_it(server: str) -> None:
    with pytest.raises(BadCredentials, match="write https://"):
        Target.parse(server, Credentials(token=TOKEN))


async def test_files_for_tls_that_will_not_do_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ann, bob = authority.client("ann"), authority.client("bob")
    target = Target("localhost:1", tls=True)
    for credentials, told in (
        (Credentials(tls_ca=str(tmp_path / "none")), "none cannot be used: No such file"),
        (Credentials(tls_ca=str(ann.key)), "ann.key cannot be used"),
        (Credentials(tls_client_certificate=str(ann.certificate)), "go together"),
        (
            Credentials(tls_client_certificate=str(ann.certificate), tls_client_key=str(bob.key)),
            "key values mismatch",
        ),
    ):
        with pytest.raises(BadCredentials, match=told):
            channel(target, credentials, OPTIONS)
    ann.key.chmod(0o644)
    with pytest.raises(BadCredentials, match="chmod 600"):
        channel(
            target,
            Credentials(tls_client_certificate=str(ann.certificate), tls_client_key=str(ann.key)),
            OPTIONS,
        )
