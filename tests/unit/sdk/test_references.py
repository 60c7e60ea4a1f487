from __future__ import annotations

from hypothesis import given
from support.literals import literals
from volery._literals import values
from volery._literals.encoding import encode
from volery._literals.references import MOST, references
from volery._literals.values import BlobValue, Literal, OffloadedValue
from volery_controlplane.domain.references import References
from voleryidl.core.v1 import literals_pb2


def files(*uris: str) -> Literal:
    return Literal(values.COLLECTION, [Literal(values.BLOB, BlobValue(uri)) for uri in uris])


def test_few_references_are_named_one_by_one() -> None:
    inner = Literal(values.OFFLOADED, OffloadedValue("file:///s/c", references=("file:///s/d",)))
    record = Literal(values.RECORD, {"a": files("file:///s/a", "file:///s/b"), "b": inner})
    assert references(record) == ("file:///s/a", "file:///s/b", "file:///s/c", "file:///s/d")


def test_of_very_many_the_folders_are_named() -> None:
    many = files(*(f"file:///s/e/{item % 5}/{item}" for item in range(5000)))
    assert references(many) == tuple(f"file:///s/e/{folder}" for folder in range(5))
    assert len(references(files(*(f"file:///s/{item}" for item in range(MOST))))) == MOST


@given(literals)
def test_client_and_server_find_the_same(literal: Literal) -> None:
    found = References("file:///").of(literals_pb2.Literal.FromString(encode(literal)))
    named = dict.fromkeys(references(literal))
    server = References("file:///")
    if len(named) < MOST:
        assert set(found) == {target for uri in named if (target := server.target(uri)) is not None}
