"""Pauses: how long a plane stands still while its interpreter looks for garbage."""

from __future__ import annotations

import gc


def spare_what_started() -> None:
    """Leaves what is there now out of later searches for garbage. Call once, when all is imported and built.

    Modules, classes and descriptors are a hundred thousand objects that stay for good, and a full search
    walks through all of them: 70 ms, now and then, in which nothing else is done.
    """
    gc.freeze()
