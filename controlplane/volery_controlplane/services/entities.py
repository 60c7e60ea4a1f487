"""Versions of entities, found by name: exactly, or the newest."""

from __future__ import annotations

from volery_controlplane.domain.errors import NotFound
from volery_controlplane.domain.names import KIND_NAMES
from volery_controlplane.domain.records import EntityName, EntityRecord
from volery_controlplane.services.ports import Transaction


def find_version(tx: Transaction, name: EntityName, version: str) -> EntityRecord:
    """One version; an empty one means the newest.

    Raises:
        NotFound: when there is no such version.
    """
    found = tx.entities.get([(name, version)]).get((name, version)) if version else tx.entities.newest(name)
    if found is None:
        raise not_found(name, version)
    return found


def not_found(name: EntityName, version: str) -> NotFound:
    """The refusal of a name or version that nobody registered."""
    kind = KIND_NAMES[name.kind]
    what = f"version {version!r} of {kind} {name.name!r}" if version else f"{kind} {name.name!r}"
    return NotFound(
        f"there is no {what} in {name.project}/{name.domain}",
        {"resource_type": kind.replace(" ", "_"), "resource_name": name.name, "version": version},
    )
