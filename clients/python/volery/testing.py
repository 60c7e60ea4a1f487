"""Testing: an embedded engine on a temporary database, for the tests of users' workflows.

    with embedded_engine() as remote:
        remote.register(search)
        assert remote.run(search, {"depths": [2]}).outputs.depth == 2

The same planes, worker and task processes as everywhere. The database is written without syncing (a test
has no power loss to fear), and everything is gone at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from volery._engine import Engine, EngineSettings
from volery.credentials import Credentials
from volery.remote import Remote


@contextmanager
def embedded_engine(
    *,
    project: str | None = None,
    domain: str | None = None,
    slots: int = 0,
    environment: Mapping[str, str] | None = None,
    secrets: str = "",
) -> Iterator[Remote]:
    """Start an engine, give a `Remote` to it, and stop it at the end.

    Args:
        project: the tenant; the configured one by default.
        domain: the second axis of tenancy; the configured one by default.
        slots: how many task processes run at a time; 0 means one per core.
        secrets: the directory of secrets; the user's own by default.
        environment: laid over this process's, for the engine's processes and so for the tasks.
    """
    with tempfile.TemporaryDirectory(prefix="volery-", ignore_cleanup_errors=True) as directory:
        settings = EngineSettings(synchronous="off", slots=slots, environment=environment, secrets=secrets)
        with Engine(Path(directory), settings) as engine:
            remote = Remote(engine.server, project=project, domain=domain, credentials=Credentials())
            try:
                yield remote
            finally:
                remote.close()
