"""Tokens: made, listed and revoked by an administrator at the database."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from volery_controlplane.domain import tokens
from volery_controlplane.domain.errors import Invalid, NotFound, Violation
from volery_controlplane.domain.names import check_project_id
from volery_controlplane.domain.principals import GRANTABLE, LIMITABLE, Role
from volery_controlplane.domain.records import Micros
from volery_controlplane.domain.tokens import TokenRecord
from volery_controlplane.services.ports import Database, Transaction
from volery_controlplane.services.projects import required


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; its text is told once and kept nowhere."""

    record: TokenRecord
    text: str = field(repr=False)


class Tokens:
    """Use cases of tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, name: str, role: str, projects: Sequence[str] = (), lifetime: timedelta | None = None
    ) -> NewToken:
        """Makes a token.

        Args:
            name: of the principal; a token that is to replace another bears the same.
            role: what the principal is.
            projects: what it is limited to; empty means nothing.
            lifetime: after which it is refused; None for never.

        Returns:
            The token, with its text.

        Raises:
            Invalid: every complaint is listed.
            NotFound: there is no such project.
        """
        _check(name, role, projects, lifetime)
        token_id = secrets.token_hex(tokens.ID_BYTES)
        text = tokens.token_text(token_id, secrets.token_urlsafe(tokens.SECRET_BYTES))

        def intention(tx: Transaction) -> TokenRecord:
            for project in projects:
                required(tx, project)
            expire_time = None if lifetime is None else Micros(tx.now + lifetime // timedelta(microseconds=1))
            record = TokenRecord(
                token_id, name, Role(role), tuple(projects), tokens.digest_of(text), tx.now, expire_time
            )
            tx.tokens.insert(record)
            return record

        return NewToken(await self._database.transact(intention), text)

    async def accept(
        self, name: str, role: str, text: str, projects: Sequence[str] = (), lifetime: timedelta | None = None
    ) -> tuple[TokenRecord, bool]:
        """Takes a token that was made elsewhere, where a deployment brings its workers' token along.

        Args:
            name: of the principal.
            role: what the principal is.
            text: the token, of the form of those made here.
            projects: what it is limited to; empty means nothing.
            lifetime: after which it is refused; None for never.

        Returns:
            What is kept of it, and whether that is new: accepting the same again changes nothing.

        Raises:
            Invalid: every complaint is listed; among them that it is known as something else.
            NotFound: there is no such project.
        """
        _check(name, role, projects, lifetime)
        token_id = tokens.token_id_of(text)
        if not token_id or not tokens.is_strong(text):
            raise _bad_text(
                "a token is vol_, 12 random hexadecimal digits, _, and 43 random letters and digits;"
                " this text is another, or not random"
            )

        def intention(tx: Transaction) -> tuple[TokenRecord, bool]:
            for project in projects:
                required(tx, project)
            known = next((token for token in tx.tokens.all() if token.token_id == token_id), None)
            if known is not None:
                if known.digest != tokens.digest_of(text):
                    raise _bad_text(f"there is another token with the id {token_id}; make a new one")
                if (known.name, known.role, tuple(known.projects)) != (name, Role(role), tuple(projects)):
                    raise _bad_text(f"the token {token_id} is known as {known.name}, {known.role}")
                if known.revoke_time is not None:
                    raise _bad_text(f"the token {token_id} of {known.name} was revoked; make a new one")
                return known, False
            expire_time = None if lifetime is None else Micros(tx.now + lifetime // timedelta(microseconds=1))
            record = TokenRecord(
                token_id, name, Role(role), tuple(projects), tokens.digest_of(text), tx.now, expire_time
            )
            tx.tokens.insert(record)
            return record, True

        return await self._database.transact(intention)

    async def all(self) -> tuple[Sequence[TokenRecord], Micros]:
        """Every token, oldest first, and the database's time."""
        return await self._database.read(lambda tx: (tx.tokens.all(), tx.now))

    async def revoke(self, named: str) -> Sequence[TokenRecord]:
        """Revokes a token by its id, or all of a name; gives those it revoked.

        Raises:
            NotFound: there is none that is not revoked.
        """

        def intention(tx: Transaction) -> list[TokenRecord]:
            meant = [token for token in tx.tokens.all() if named in (token.token_id, token.name)]
            revoked = [token for token in meant if tx.tokens.revoke(token.token_id, tx.now)]
            if not revoked:
                raise NotFound(
                    f"there is no token with the id or name {named!r} that is not revoked",
                    {"resource_type": "token", "resource_name": named},
                )
            return revoked

        return await self._database.transact(intention)


def _check(name: str, role: str, projects: Sequence[str], lifetime: timedelta | None) -> None:
    complaints = []
    if complaint := check_project_id(name):
        complaints.append(Violation("name", f"name {complaint}", "BAD_NAME"))
    if role not in GRANTABLE:
        complaints.append(Violation("role", f"role must be one of {', '.join(GRANTABLE)}", "BAD_ROLE"))
    elif projects and role not in LIMITABLE:
        message = f"the role {role} acts for all projects and cannot be limited to some"
        complaints.append(Violation("projects", message, "BAD_ROLE"))
    if lifetime is not None and lifetime <= timedelta(0):
        complaints.append(Violation("expires", "expires must be longer than nothing", "BAD_LIFETIME"))
    if complaints:
        raise Invalid("; ".join(complaint.message for complaint in complaints), complaints)


def _bad_text(message: str) -> Invalid:
    """A token that was brought cannot be taken; its text is not said again."""
    return Invalid(message, [Violation("token", message, "BAD_TOKEN")])
