"""The stores inside one transaction, over one link."""

from __future__ import annotations

from functools import cached_property

from volery_controlplane.domain.records import Micros
from volery_controlplane.store.cache import SqlCacheStore
from volery_controlplane.store.entities import SqlEntityStore
from volery_controlplane.store.executions import SqlExecutionStore
from volery_controlplane.store.links import Link
from volery_controlplane.store.logs import SqlLogStore
from volery_controlplane.store.objects import SqlObjectStore
from volery_controlplane.store.projects import SqlProjectStore
from volery_controlplane.store.pruning import SqlPruningStore
from volery_controlplane.store.requests import SqlRequestStore
from volery_controlplane.store.sessions import SqlSessionStore
from volery_controlplane.store.tokens import SqlTokenStore


class SqlTransaction:
    """The `Transaction` port. Each intention gets its own, also where several share a commit."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @cached_property
    def now(self) -> Micros:
        """The database's clock, read once."""
        return self._link.clock()

    @cached_property
    def projects(self) -> SqlProjectStore:
        """The tenants."""
        return SqlProjectStore(self._link)

    @cached_property
    def entities(self) -> SqlEntityStore:
        """The registry."""
        return SqlEntityStore(self._link)

    @cached_property
    def executions(self) -> SqlExecutionStore:
        """Executions and all that belongs to one."""
        return SqlExecutionStore(self._link)

    @cached_property
    def sessions(self) -> SqlSessionStore:
        """The sessions of workers."""
        return SqlSessionStore(self._link)

    @cached_property
    def cache(self) -> SqlCacheStore:
        """Results kept for reuse."""
        return SqlCacheStore(self._link)

    @cached_property
    def logs(self) -> SqlLogStore:
        """What attempts wrote."""
        return SqlLogStore(self._link)

    @cached_property
    def requests(self) -> SqlRequestStore:
        """Answers by request id."""
        return SqlRequestStore(self._link)

    @cached_property
    def objects(self) -> SqlObjectStore:
        """Who refers to which object of the store."""
        return SqlObjectStore(self._link)

    @cached_property
    def pruning(self) -> SqlPruningStore:
        """What is no longer kept."""
        return SqlPruningStore(self._link)

    @cached_property
    def tokens(self) -> SqlTokenStore:
        """The tokens of callers."""
        return SqlTokenStore(self._link)
