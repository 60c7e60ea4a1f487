"""Authentication: who a caller is, by what it shows of itself.

`authenticate` asks verifiers in order; the first that takes the credentials decides. A further way to be
known (signed tokens of an identity provider, say) is one more verifier. Whoever speaks to workers in another
way than through the interceptor calls the same function with the same credentials.

Tokens of callers are verified against a copy of their table that is at most `FRESHNESS` old: no call waits
for the database but the first after that. So a revocation takes effect within that time, and a new token at
once. Tokens of attempts are verified by their signature; that the attempt still runs is read each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Protocol

from volery_rules import attempt_tokens
from volery_rules.attempt_tokens import AttemptClaim
from volery_rules.phases import (
    TERMINAL_ATTEMPT_PHASES,
    TERMINAL_EXECUTION_PHASES,
    TERMINAL_NODE_PHASES,
)

from volery_controlplane.domain import tokens
from volery_controlplane.domain.errors import Denied, Unauthenticated
from volery_controlplane.domain.principals import Principal, Role, attempt_principal
from volery_controlplane.domain.records import ExecutionKey, Micros
from volery_controlplane.domain.tokens import TokenRecord
from volery_controlplane.services.ports import Database, Transaction

FRESHNESS = timedelta(seconds=5)
"""How old the copy of the tokens may be."""

SHORTEST_WAIT = timedelta(milliseconds=200)
"""Between two reads of the table: callers with wrong tokens wait, and do not load the database."""

UNREADABLE = "unreadable"
"""Stands for an authorization that is no bearer token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller shows of itself.

    Attributes:
        token: its bearer token; "" where there is none.
        certificate_names: the common name and alternative names of its certificate, which TLS has verified.
    """

    token: str = field(default="", repr=False)
    certificate_names: Sequence[str] = ()


class Verifier(Protocol):
    """One way to be known."""

    def takes(self, credentials: Credentials) -> bool:
        """Whether these are of its kind; then its word is final."""

    async def verify(self, credentials: Credentials) -> Principal:
        """Who shows them; raises Unauthenticated, or Denied for somebody who is known and has no role."""


class Authentication:
    """Says who a caller is.

    Args:
        verifiers: asked in order.
        otherwise: who a caller is that no verifier takes; None where such are refused.
    """

    def __init__(self, verifiers: Sequence[Verifier], otherwise: Principal | None = None) -> None:
        self._verifiers = tuple(verifiers)
        self._otherwise = otherwise

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Who shows these credentials.

        Raises:
            Unauthenticated: nobody that is known.
            Denied: somebody that is known and has no role.
        """
        for verifier in self._verifiers:
            if verifier.takes(credentials):
                return await verifier.verify(credentials)
        if self._otherwise is not None:
            return self._otherwise
        if credentials.token:
            raise tokens.unknown_token()
        raise Unauthenticated(
            "this server asks callers who they are: send a token (VOLERY_TOKEN_FILE, VOLERY_TOKEN or the"
            " configuration file name one), as the metadata `authorization: Bearer …`"
        )


class CallerTokens:
    """The verifier of the tokens that administrators make.

    Args:
        database: has them.
        clock: seconds, never going back.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._reading = asyncio.Lock()
        self._known: Mapping[str, TokenRecord] = {}
        self._read_at = float("-inf")
        self._database_time = Micros(0)

    def takes(self, credentials: Credentials) -> bool:
        """Whether there is a token of the kind."""
        return credentials.token.startswith(tokens.PREFIX)

    async def verify(self, credentials: Credentials) -> Principal:
        """Who bears the token."""
        token_id = tokens.token_id_of(credentials.token)
        if not token_id:
            raise tokens.unknown_token()
        arrived = self._clock()
        await self._read_since(arrived - FRESHNESS.total_seconds())
        found = self._known.get(token_id)
        if found is None:  # it may have been made a moment ago
            await self._read_since(arrived)
            found = self._known.get(token_id)
        if found is None:
            raise tokens.unknown_token()
        now = Micros(self._database_time + int((self._clock() - self._read_at) * 1_000_000))
        return found.principal(credentials.token, now)

    async def _read_since(self, moment: float) -> None:
        """Reads the table, unless that was begun at the moment or later; never twice in a short time."""
        if self._read_at >= moment:
            return

        def query(tx: Transaction) -> tuple[Sequence[TokenRecord], Micros]:
            return tx.tokens.all(), tx.now

        async with self._reading:
            if self._read_at >= moment:  # somebody else has, while this call waited for its turn
                return
            await asyncio.sleep(max(0.0, self._read_at + SHORTEST_WAIT.total_seconds() - self._clock()))
            begin = self._clock()
            records, self._database_time = await self._database.read(query)
            self._known = {record.token_id: record for record in records}
            self._read_at = begin


class AttemptTokens:
    """The verifier of the tokens that workers mint for attempts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def takes(self, credentials: Credentials) -> bool:
        """Whether there is a token of the kind."""
        return credentials.token.startswith(attempt_tokens.PREFIX)

    async def verify(self, credentials: Credentials) -> Principal:
        """The attempt that bears the token, if it still runs."""
        signed = attempt_tokens.read(credentials.token)
        if signed is None or not signed.is_genuine(self._database.installation_secret()):
            raise Unauthenticated("this installation did not make the attempt's token")
        return await self._database.read(lambda tx: _live(tx, signed.claim))


def _live(tx: Transaction, claim: AttemptClaim) -> Principal:
    """The principal of an attempt that has not ended and was not overtaken.

    An attempt may outlive the worker that launched it and minted its token: the next one adopts it. So a
    token of an earlier hold is good for as long as that very attempt is the node's current one.
    """
    key = ExecutionKey(claim.execution_key)
    record = tx.executions.by_key([key]).get(key)
    if record is None or record.uid != claim.uid:
        raise Unauthenticated("the execution of the attempt's token is no longer kept")
    told = f"attempt {claim.attempt} of {claim.path} in {record.id.name}"
    if record.phase in TERMINAL_EXECUTION_PHASES:
        raise Unauthenticated(f"the token of {told} is over: its execution has ended")
    if claim.fencing_token > tx.executions.token(key):
        raise Unauthenticated(f"the token of {told} is not known: nobody has held the execution under it yet")
    node = tx.executions.node(key, claim.path)
    current = node is not None and node.attempt == claim.attempt and node.phase not in TERMINAL_NODE_PHASES
    # A row of its own comes with an attempt's start or end; one that ended may be waiting for the next.
    ended = current and any(
        row.attempt == claim.attempt and row.phase in TERMINAL_ATTEMPT_PHASES
        for row in tx.executions.attempts(key, claim.path)
    )
    if not current or ended:
        raise Unauthenticated(f"the token of {told} is over: the attempt has ended")
    return attempt_principal(record.id, claim.path, claim.attempt, record.uid)


@dataclass(frozen=True, slots=True)
class CertificateRole:
    """What those are whose certificate bears a name.

    Attributes:
        pattern: the name; `*` stands for any part of one.
        role: what they are.
    """

    pattern: str
    role: Role


class Certificates:
    """The verifier of client certificates, by the names in them. The first role that fits counts."""

    def __init__(self, roles: Sequence[CertificateRole]) -> None:
        self._roles = tuple(roles)

    def takes(self, credentials: Credentials) -> bool:
        """Whether TLS has verified a certificate."""
        return bool(credentials.certificate_names)

    async def verify(self, credentials: Credentials) -> Principal:
        """Who the certificate names."""
        for name in credentials.certificate_names:
            for each in self._roles:
                if fnmatchcase(name, each.pattern):
                    return Principal(f"certificate:{name}", each.role)
        names = ", ".join(credentials.certificate_names)
        raise Denied(
            f"the client certificate of {names} has no role here: send a token too, or have the server's"
            " --certificate-roles name it",
            {"principal": f"certificate:{credentials.certificate_names[0]}"},
        )
