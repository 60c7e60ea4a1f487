"""Entry: whether a caller may make a call, now and for as long as the call lasts.

Whoever speaks to callers in another way than through the interceptor does the same with it: `begin` with
what the caller showed, `check` its first request, and `renew` at each later message.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Self

from volery_controlplane.domain.principals import Principal
from volery_controlplane.grpc.permissions import Rule, rule_of
from volery_controlplane.services.authentication import FRESHNESS, Authentication, Credentials


class Entry:
    """Whether a caller may make a call.

    Args:
        authentication: says who shows the credentials.
        shown: the credentials.
        method: the call, in full: `/package.Service/Method`.
    """

    def __init__(self, authentication: Authentication, shown: Credentials, method: str) -> None:
        self._authentication = authentication
        self._shown = shown
        self._method = method
        self._rule: Rule | None = None
        self._principal: Principal | None = None
        self._renew_at = 0.0

    async def begin(self) -> Principal:
        """Who calls; raises Unauthenticated, or Denied where the role may not make the call."""
        self._principal = await self._authentication.authenticate(self._shown)
        self._rule = rule_of(self._method, self._principal)
        self._renew_at = time.monotonic() + FRESHNESS.total_seconds()
        return self._principal

    def check(self, request: Any) -> None:
        """Raises Denied where the request is about something of others."""
        assert self._rule is not None, "begin comes first"
        assert self._principal is not None, "begin comes first"
        self._rule.check(self._principal, request)

    async def renew(self) -> None:
        """Raises Unauthenticated where a call outlasts its caller's credentials."""
        if time.monotonic() >= self._renew_at:
            await self.begin()


class Entering:
    """The requests of a stream, for as long as its caller may send them."""

    def __init__(self, requests: AsyncIterator[Any], entry: Entry) -> None:
        self._requests = aiter(requests)
        self._entry = entry
        self._is_checked = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        request = await anext(self._requests)
        if self._is_checked:
            await self._entry.renew()
        else:
            self._is_checked = True
            self._entry.check(request)
        return request
