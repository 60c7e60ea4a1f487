"""A control plane in a thread of this process, for tests whose client blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings


@contextmanager
def serving(settings: Settings) -> Iterator[ControlPlane]:
    """One that serves until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        plane = ControlPlane(settings)
        asyncio.run_coroutine_threadsafe(plane.start(), loop).result(60)
        try:
            yield plane
        finally:
            asyncio.run_coroutine_threadsafe(plane.stop(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
