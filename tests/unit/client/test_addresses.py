from __future__ import annotations

import pytest
from volery._addresses import DEFAULT_PORT, Address
from volery.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:8470", Address(host="localhost", port=8470)),
        ("localhost", Address(host="localhost", port=DEFAULT_PORT)),
        ("http://localhost:9000/", Address(host="localhost", port=9000)),
        ("https://volery.example", Address(host="volery.example", port=443, tls=True)),
        ("https://volery.example:8443", Address(host="volery.example", port=8443, tls=True)),
        ("[::1]:8470", Address(host="::1", port=8470)),
        ("[::1]", Address(host="::1", port=DEFAULT_PORT)),
        ("unix:///run/volery.sock", Address(path="/run/volery.sock")),
        ("unix:/run/volery.sock", Address(path="/run/volery.sock")),
    ],
)
def test_an_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address


def test_several_addresses_are_read_and_written_with_commas() -> None:
    address = Address.parse("https://a:1, b:2 ,unix:///c,", tls=True)
    assert address.every == (
        Address(host="a", port=1, tls=True),
        Address(host="b", port=2, tls=True),
        Address(path="/c"),
    )
    assert str(address) == "https://a:1,https://b:2,unix:///c"
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "is_private"),
    [("localhost:1,unix:///c", True), ("localhost:1,far:2", False), ("https://far:1,far:2", False)],
)
def test_several_addresses_are_as_private_as_the_least_of_them(text: str, is_private: bool) -> None:
    assert Address.parse(text).is_private is is_private


@pytest.mark.parametrize(
    "text", ["", ":8470", "host:", "host:port", "host:0", "host:70000", "unix://socket", "a/b:1"]
)
def test_what_is_no_address_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ConfigurationError, match="unix:///path"):
        Address.parse(text)


@pytest.mark.parametrize(
    "text", ["localhost:8470", "https://volery.example:8443", "[::1]:8470", "unix:///run/volery.sock"]
)
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Address.parse(text)) == text
