"""One suite for every object store of the control plane."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from integration.storage.conftest import Store
from volery_controlplane.domain.errors import Denied, Invalid, NotFound

MIB = 1024 * 1024
NOW = timedelta(seconds=-5)
"""An age that everything has, by whichever clock."""
HOUR = timedelta(hours=1)
ODD = "executions/p/d/e/0123abcd/n0/1/a b%2F#?ü+~'.txt"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def pieces(content: bytes, size: int = MIB) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), size):
        yield content[begin : begin + size]


async def put(store: Store, content: bytes) -> tuple[str, bool]:
    return await store.blobs.put(sha(content), len(content), pieces(content))


async def lay(store: Store, target: str, content: bytes = b"content") -> str:
    uri = store.uri(target)
    await store.blobs.put_at(uri, sha(content), len(content), pieces(content))
    return uri


async def whole(store: Store, uri: str) -> bytes:
    return await store.blobs.read(uri, 0, await store.blobs.size(uri) + 10)


async def places(store: Store, target: str) -> list[str]:
    return [each.place for each in await store.blobs.below(store.uri(target), "", 1000)]


@pytest.mark.parametrize("size", [0, 1, MIB, 8 * MIB, 19 * MIB + 17])
async def test_content_comes_back_as_it_went(store: Store, size: int) -> None:
    content = os.urandom(size)
    uri, existed = await put(store, content)
    assert not existed
    assert uri == store.uri(f"blobs/{sha(content)[:2]}/{sha(content)}")
    assert await whole(store, uri) == content
    assert await store.blobs.stat(sha(content)) == (uri, size)
    assert await put(store, content) == (uri, True)


async def test_pieces_are_read_from_anywhere_and_nothing_behind_the_end(store: Store) -> None:
    uri, _ = await put(store, b"0123456789")
    assert await store.blobs.read(uri, 3, 4) == b"3456"
    assert await store.blobs.read(uri, 8, 100) == b"89"
    assert await store.blobs.read(uri, 10, 100) == b""
    assert await store.blobs.read(uri, 3, 0) == b""


@pytest.mark.parametrize("size", [100, 20 * MIB])
@pytest.mark.parametrize("fault", ["more", "less", "other", "breaks off"])
async def test_content_that_is_not_as_announced_is_refused_and_not_kept(
    store: Store, size: int, fault: str
) -> None:
    content = os.urandom(size)
    sent = {"more": content + b"x", "less": content[:-1]}.get(fault, content)
    digest = "0" * 64 if fault == "other" else sha(content)

    class Gone(Exception):
        pass

    async def chunks() -> AsyncIterator[bytes]:
        async for piece in pieces(sent):
            yield piece
            if fault == "breaks off":
                raise Gone

    target = "executions/p/d/e/0123abcd/n0/1/x"
    for write in (
        lambda: store.blobs.put(digest, size, chunks()),
        lambda: store.blobs.put_at(store.uri(target), digest, size, chunks()),
    ):
        with pytest.raises(Gone if fault == "breaks off" else Invalid):
            await write()
    assert await store.blobs.stat(digest) is None
    assert await places(store, "blobs") == []
    assert await places(store, "executions") == []


async def test_what_is_there_already_is_still_held_to_its_announcement(store: Store) -> None:
    content = b"content"
    await put(store, content)
    with pytest.raises(Invalid):
        await store.blobs.put(sha(content), len(content), pieces(b"CONTENT"))
    assert await whole(store, store.uri(f"blobs/{sha(content)[:2]}/{sha(content)}")) == content


async def test_of_uploads_of_one_content_at_a_time_each_is_well(store: Store) -> None:
    content = os.urandom(3 * MIB)
    answers = await asyncio.gather(*(put(store, content) for _ in range(8)))
    assert len({uri for uri, _ in answers}) == 1
    assert await whole(store, answers[0][0]) == content


async def test_odd_names_are_names(store: Store) -> None:
    uri = await lay(store, ODD, b"odd")
    assert await whole(store, uri) == b"odd"
    assert await store.blobs.place(uri) == ODD
    assert [tuple(each) for each in await store.blobs.below(store.uri("executions/p"), "", 10)] == [
        (uri, ODD, 3)
    ]


async def test_a_repeat_at_a_place_is_well_and_changes_nothing(store: Store) -> None:
    uri = await lay(store, "executions/p/d/e/0123abcd/n0/1/x", b"first")
    assert await lay(store, "executions/p/d/e/0123abcd/n0/1/x", b"first") == uri
    assert await whole(store, uri) == b"first"


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    for ask in (
        lambda: store.blobs.size(store.uri("executions/nothing")),
        lambda: store.blobs.read(store.uri("executions/nothing"), 0, 1),
    ):
        with pytest.raises(NotFound):
            await ask()
    assert await store.blobs.stat("0" * 64) is None


@pytest.mark.parametrize(
    "end", ["/../other/x", "/executions/../../x", "/%2e%2e/x", "/executions/..%2f..%2fx", "-other/x"]
)
async def test_nothing_outside_of_the_root_is_reached(store: Store, end: str) -> None:
    uri = f"{store.blobs.root}{end}"
    for ask in (
        lambda: store.blobs.place(uri),
        lambda: store.blobs.size(uri),
        lambda: store.blobs.read(uri, 0, 1),
        lambda: store.blobs.below(uri, "", 10),
        lambda: store.blobs.put_at(uri, sha(b"x"), 1, pieces(b"x")),
    ):
        with pytest.raises(Denied):
            await ask()


@pytest.mark.parametrize(
    "uri", ["", "x", "s3://", "s3://[", "s3:///x", "gs://bucket/x", "http://x/y", "file:///%00"]
)
async def test_what_is_no_place_here_is_denied(store: Store, uri: str) -> None:
    with pytest.raises(Denied):
        await store.blobs.place(uri)


async def test_what_lies_below_is_told_in_order_and_in_pages(store: Store) -> None:
    names = sorted(f"executions/p/d/e/u/{name}" for name in ("a/1", "a-b", "a/2/3", "b", "z/ü", "a.c"))
    for name in names:
        await lay(store, name)
    await lay(store, "executions/p/d/e2/u/x")
    found: list[str] = []
    while len(found) <= len(names):
        page = await store.blobs.below(store.uri("executions/p/d/e"), found[-1] if found else "", 2)
        found += [each.place for each in page]
        if len(page) < 2:
            break
    assert found == names
    assert await places(store, "executions/p/d/e/u/a") == [name for name in names if "/u/a/" in name]
    assert await places(store, "executions/nobody") == []


# What is removed


async def test_a_store_belongs_to_whoever_asked_first(store: Store) -> None:
    assert await store.sweep.belongs("one")
    assert not await store.sweep.belongs("two")
    assert await store.sweep.belongs("one")


async def test_all_below_a_path_goes_but_what_is_to_stay(store: Store) -> None:
    top = "executions/p/d/e/0123abcd"
    for name in ("n0/1/a", "n0/1/dir/b", "n0/1/dir2/c", "n1/1/d"):
        await lay(store, f"{top}/{name}")
    await lay(store, "executions/p/d/e/0123abcdef/x")
    assert await store.sweep.remove(top, [f"{top}/n0/1/dir", f"{top}/n1/1/d"]) == 2
    assert await places(store, "executions") == [
        f"{top}/n0/1/dir/b",
        f"{top}/n1/1/d",
        "executions/p/d/e/0123abcdef/x",
    ]
    assert await store.sweep.remove(f"{top}/n1/1/d", []) == 1
    assert await store.sweep.remove(top, []) == 1
    assert await store.sweep.remove(top, []) == 0
    assert await places(store, "executions") == ["executions/p/d/e/0123abcdef/x"]
    for odd in ("", "..", "executions/../.."):
        with pytest.raises(ValueError, match="not below"):
            await store.sweep.remove(odd, [])


async def test_an_upload_goes_when_nobody_asked_for_it_long_enough(store: Store) -> None:
    content = b"content"
    await put(store, content)
    shard = int(sha(content)[:2], 16)
    target = f"blobs/{sha(content)[:2]}/{sha(content)}"
    assert list(await store.sweep.stale_uploads(shard, HOUR)) == []
    assert await store.sweep.remove_uploads([target], HOUR) == 0
    assert list(await store.sweep.stale_uploads(shard, NOW)) == [target]
    assert list(await store.sweep.stale_uploads((shard + 1) % 256, NOW)) == []
    assert await store.blobs.stat(sha(content)) is not None
    assert await store.sweep.remove_uploads([target], NOW) == 1
    assert await store.sweep.remove_uploads([target], NOW) == 0
    assert await store.blobs.stat(sha(content)) is None
    assert await store.sweep.remove_incoming(HOUR) == 0
    assert await store.sweep.remove_parts(HOUR) == 0
    assert await put(store, content) == (store.uri(target), False)
