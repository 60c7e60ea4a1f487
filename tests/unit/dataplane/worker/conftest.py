"""Workers live in virtual time."""

from __future__ import annotations

from collections.abc import Mapping

from support.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualLoop]]:
    return {"virtual time": VirtualLoop}
