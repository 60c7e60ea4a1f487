from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from volery_controlplane.grpc.addresses import TcpAddress, UnixSocket, UnsafeAddress, check_url, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8470", TcpAddress("127.0.0.1", 8470)),
        ("127.8.9.1:0", TcpAddress("127.8.9.1", 0)),
        ("localhost:8470", TcpAddress("localhost", 8470)),
        ("[::1]:8470", TcpAddress("::1", 8470)),
        ("unix:///run/volery/socket", UnixSocket(Path("/run/volery/socket"))),
    ],
)
def test_loopback_and_unix_sockets_are_listened_on(text: str, address: UnixSocket | TcpAddress) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    "text", ["0.0.0.0:8470", "[::]:8470", "10.0.0.7:1", "example.com:80", "::ffff:1.2.3.4:1"]
)
def test_anything_reachable_from_outside_is_refused_without_authentication(text: str) -> None:
    with pytest.raises(UnsafeAddress, match="without authentication"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "8470", ":8470", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "unix:socket"]
)
def test_what_is_no_address_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(UnsafeAddress, match="unix:///path"):
        parse(text)


def test_a_path_too_long_for_a_socket_is_told_before_it_is_tried() -> None:
    with pytest.raises(UnsafeAddress, match="too many"):
        parse("unix:///" + "x" * 120)


def test_the_directory_of_a_socket_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "run" / "socket")
    unix.prepare()
    assert stat.S_IMODE(unix.path.parent.stat().st_mode) == 0o700


def test_a_socket_left_over_is_removed_and_one_in_use_is_not(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(unix.path))
        server.listen()
        with pytest.raises(UnsafeAddress, match="another server"):
            unix.prepare()
    unix.prepare()
    assert not unix.path.exists()


def test_a_file_in_the_way_is_never_removed(tmp_path: Path) -> None:
    unix = UnixSocket(tmp_path / "socket")
    unix.path.write_text("precious")
    with pytest.raises(UnsafeAddress, match="not a socket"):
        unix.prepare()
    assert unix.path.read_text() == "precious"


def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeAddress, match="written by everybody"):
        UnixSocket(tmp_path / "socket").prepare()


@pytest.mark.parametrize(
    "url", ["https://data.example", "http://localhost:1", "http://127.0.0.2", "http://[::1]:1"]
)
def test_a_server_may_be_known_by_what_is_secured_or_of_this_machine(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url", ["http://data.example", "http://10.0.0.7:1", "http://localhost.example", "http://", "http://["]
)
def test_a_server_may_not_be_known_by_what_others_can_listen_to(url: str) -> None:
    with pytest.raises(UnsafeAddress, match="https://"):
        check_url(url)
