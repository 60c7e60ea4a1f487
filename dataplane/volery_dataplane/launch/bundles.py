"""Bundles: the user's code, as a folder that task processes import from.

Where it comes from, and whether it is safe to unpack, is its source's to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from volery_dataplane.worker.ports import BundleRefused

FetchBundle = Callable[[str], Awaitable[Path]]
"""Gives the folder with a bundle's files by its hash; raises BundleRefused where asking again is in vain."""


class BundleUnavailable(Exception):
    """The code cannot be had now."""


async def folder_of(sha256: str, fetch: FetchBundle) -> Path:
    """The folder with a bundle's files.

    Raises:
        BundleRefused: its content must not be used.
        BundleUnavailable: it cannot be fetched.
    """
    try:
        return await fetch(sha256)
    except BundleRefused as refusal:
        raise BundleRefused(f"code bundle {sha256[:12]}: {refusal}") from refusal
    except Exception as error:  # whatever the source of bundles raises, the code is not to be had
        raise BundleUnavailable(f"code bundle {sha256[:12]}: {error}") from error
