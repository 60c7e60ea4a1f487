"""Opens the object store that the settings name: a directory, or one of a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from volery_controlplane.services.ports import BlobStore
from volery_controlplane.services.pruning_ports import ObjectSweep
from volery_controlplane.storage.files import FileBlobStore
from volery_controlplane.storage.object_access import Place, open_store
from volery_controlplane.storage.object_sweeping import ObjectStoreSweep
from volery_controlplane.storage.objects import ObjectBlobStore
from volery_controlplane.storage.sweeping import FileSweep


class Sweep(ObjectSweep, Protocol):
    """What removes objects, and what killed writers left."""

    async def remove_parts(self, age: timedelta) -> int:
        """Removes what writers left behind that were killed half-way; gives how much that was."""


@dataclass(frozen=True, slots=True)
class Storage:
    """An open object store."""

    blobs: BlobStore
    sweep: Sweep


def open_storage(where: str | Path, public_endpoint: str = "", verifies_unheld: bool = False) -> Storage:
    """Opens a store.

    Args:
        where: a directory, or the URL of an object store.
        public_endpoint: see `ObjectBlobStore`.
        verifies_unheld: see there; a directory's uploads are verified in any case.

    Raises:
        NoSuchStore: it cannot be opened.
    """
    if isinstance(where, Path) or "://" not in where:
        directory = Path(where)
        return Storage(FileBlobStore(directory), FileSweep(directory))
    place = Place.parse(where)
    store = open_store(place)
    return Storage(
        ObjectBlobStore(place, public_endpoint, store, verifies_unheld), ObjectStoreSweep(place, store)
    )
