from __future__ import annotations

from datetime import timedelta

import pytest
from volery_controlplane.domain.errors import AlreadyExists, Invalid, NotFound, Unauthenticated
from volery_controlplane.domain.principals import Principal, Role
from volery_controlplane.domain.records import Micros, ProjectRecord
from volery_controlplane.domain.tokens import digest_of
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.tokens import Tokens
from volery_controlplane.store.database import SqlDatabase


@pytest.fixture
async def tokens(database: SqlDatabase) -> Tokens:
    def intention(tx: Transaction) -> None:
        for name in ("shop", "labs"):
            tx.projects.insert(ProjectRecord(name, "", "", {}, False, tx.now))

    await database.transact(intention)
    return Tokens(database)


async def test_a_token_is_kept_without_its_secret(tokens: Tokens) -> None:
    made = await tokens.create("ci", "user", ["labs", "shop"], timedelta(days=90))
    (kept,), now = await tokens.all()
    assert kept == made.record
    assert kept.digest == digest_of(made.text)
    assert kept.expire_time == kept.create_time + 90 * 86400 * 10**6
    assert made.text[-43:] not in repr(made) + repr(kept)
    assert kept.principal(made.text, now) == Principal("ci", Role.USER, frozenset({"labs", "shop"}))


async def test_no_two_tokens_are_alike(tokens: Tokens) -> None:
    assert len({(await tokens.create("ci", "viewer")).text for _ in range(20)}) == 20


async def test_tokens_of_one_name_replace_each_other_without_a_gap(tokens: Tokens) -> None:
    old, new = await tokens.create("ci", "user"), await tokens.create("ci", "user")
    assert [each.token_id for each in await tokens.revoke(old.record.token_id)] == [old.record.token_id]
    records, now = await tokens.all()
    first, second = records
    with pytest.raises(Unauthenticated, match="was revoked"):
        first.principal(old.text, now)
    second.principal(new.text, now)


async def test_all_tokens_of_a_name_are_revoked_together_and_once(tokens: Tokens) -> None:
    await tokens.create("ci", "user")
    await tokens.create("ci", "user")
    await tokens.create("other", "user")
    assert len(await tokens.revoke("ci")) == 2
    with pytest.raises(NotFound):
        await tokens.revoke("ci")
    with pytest.raises(NotFound):
        await tokens.revoke("nobody")


async def test_a_token_ends_at_its_time_and_not_before(tokens: Tokens) -> None:
    made = await tokens.create("ci", "user", lifetime=timedelta(seconds=1))
    end = made.record.expire_time
    assert end is not None
    made.record.principal(made.text, Micros(end - 1))
    with pytest.raises(Unauthenticated, match="has expired"):
        made.record.principal(made.text, end)


@pytest.mark.parametrize(
    ("name", "role", "projects", "lifetime", "told"),
    [
        ("Not A Name", "user", [], None, "name must be"),
        ("ci", "attempt", [], None, "role must be one of viewer, user, worker, administrator"),
        ("ci", "worker", ["shop"], None, "cannot be limited"),
        ("ci", "user", [], timedelta(0), "longer than nothing"),
    ],
)
async def test_what_cannot_be_is_told(
    tokens: Tokens, name: str, role: str, projects: list[str], lifetime: timedelta | None, told: str
) -> None:
    with pytest.raises(Invalid, match=told):
        await tokens.create(name, role, projects, lifetime)


async def test_a_project_that_is_not_there_is_told(tokens: Tokens) -> None:
    with pytest.raises(NotFound, match="no project 'none'"):
        await tokens.create("ci", "user", ["shop", "none"])


async def test_an_id_is_given_once(tokens: Tokens, database: SqlDatabase) -> None:
    made = await tokens.create("ci", "user")
    with pytest.raises(AlreadyExists):
        await database.transact(lambda tx: tx.tokens.insert(made.record))


async def test_an_installation_has_one_secret(url: str, database: SqlDatabase) -> None:
    assert len(database.installation_secret()) == 32
    again = SqlDatabase.open(url, "off")
    assert again.installation_secret() == database.installation_secret()
    again.close()


BROUGHT = "vol_0123456789ab_" + "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"


async def test_a_token_that_was_made_elsewhere_is_accepted_once(tokens: Tokens) -> None:
    kept, is_new = await tokens.accept("workers", "worker", BROUGHT)
    assert is_new
    assert kept.digest == digest_of(BROUGHT)
    assert kept.principal(BROUGHT, kept.create_time) == Principal("workers", Role.WORKER)
    again, is_new = await tokens.accept("workers", "worker", BROUGHT)
    assert not is_new
    assert (await tokens.all())[0] == [again]


@pytest.mark.parametrize("text", ["", "secret", "vol_0123456789ab_short", "vol_0123456789ab_" + "x" * 43])
async def test_a_text_that_is_no_random_token_is_not_accepted(tokens: Tokens, text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await tokens.accept("workers", "worker", text)
    assert not text or text not in str(refusal.value)


async def test_what_a_token_is_cannot_be_changed_by_bringing_it_again(tokens: Tokens) -> None:
    await tokens.accept("workers", "worker", BROUGHT)
    with pytest.raises(Invalid, match="is known as workers, worker"):
        await tokens.accept("workers", "administrator", BROUGHT)
    with pytest.raises(Invalid, match="another token with the id"):
        await tokens.accept("workers", "worker", BROUGHT[:-1] + "Z")


async def test_a_revoked_token_does_not_come_back(tokens: Tokens) -> None:
    await tokens.accept("workers", "worker", BROUGHT)
    await tokens.revoke("workers")
    with pytest.raises(Invalid, match="was revoked"):
        await tokens.accept("workers", "worker", BROUGHT)
