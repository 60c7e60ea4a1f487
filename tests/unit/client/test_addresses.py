from __future__ import annotations

import pytest
from volery._connection import DEFAULT_PORT, Address
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
