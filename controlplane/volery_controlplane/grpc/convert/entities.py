"""Entities and activations on the wire."""

from __future__ import annotations

from typing import cast

from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.registry.v1.registry_service_pb2 import (
    Activation,
    EntitySummary,
    RegisteredEntity,
    RegisterRequest,
    RegistrationOutcome,
)

from volery_controlplane.domain.compiler.package import Package
from volery_controlplane.domain.records import ActivationRecord, EntityName, EntityRecord
from volery_controlplane.grpc.convert.times import timestamp
from volery_controlplane.services.registration import Fate


def identifier_to_wire(name: EntityName, version: str) -> Identifier:
    """The identifier of one version."""
    return Identifier(
        kind=cast(EntityKind, name.kind),
        project=name.project,
        domain=name.domain,
        name=name.name,
        version=version,
    )


def package_from_wire(request: RegisterRequest) -> Package:
    """A package as somebody wants it registered."""
    return Package(tuple(request.tasks), tuple(request.workflows), tuple(request.launch_plans))


def registered_to_wire(entity: Fate) -> RegisteredEntity:
    """The fate of one entity of a package."""
    created = RegistrationOutcome.REGISTRATION_OUTCOME_CREATED
    unchanged = RegistrationOutcome.REGISTRATION_OUTCOME_UNCHANGED
    return RegisteredEntity(
        id=identifier_to_wire(entity.name, entity.version),
        outcome=created if entity.created else unchanged,
        digest=entity.digest,
    )


def summary_to_wire(record: EntityRecord) -> EntitySummary:
    """A line of a list."""
    return EntitySummary(
        id=identifier_to_wire(record.name, record.version),
        create_time=timestamp(record.create_time),
        digest=record.digest,
        summary=record.summary,
        active=record.active,
    )


def activation_to_wire(record: ActivationRecord) -> Activation:
    """A span in which a version was the active one."""
    return Activation(
        id=identifier_to_wire(record.name, record.version),
        activate_time=timestamp(record.activate_time),
        deactivate_time=timestamp(record.deactivate_time),
        principal=record.principal,
    )
