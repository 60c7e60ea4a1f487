"""This module writes types, literals and options as messages of the IDL.

It loads the generated classes, so only what talks to a server imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from volery._idl.google import protobuf as google
from volery._idl.voleryidl.core import v1 as idl
from volery._literals import Literal, encode, types, values
from volery._literals.types import LiteralType, Variable
from volery.resources import Cache, Documentation, PodTemplate, Resources, Retry, Secret, Timeouts

_SIMPLE = {
    values.NONE: idl.SimpleType.NONE,
    values.INTEGER: idl.SimpleType.INTEGER,
    values.FLOAT: idl.SimpleType.FLOAT,
    values.STRING: idl.SimpleType.STRING,
    values.BOOLEAN: idl.SimpleType.BOOLEAN,
    values.DATETIME: idl.SimpleType.DATETIME,
    values.DURATION: idl.SimpleType.DURATION,
    values.STRUCT: idl.SimpleType.STRUCT,
    values.ERROR: idl.SimpleType.ERROR,
}


def literal_to_wire(literal: Literal) -> idl.Literal:
    """A literal as a message."""
    return idl.Literal.parse(encode(literal))


def literals_to_wire(literals: Mapping[str, Literal]) -> idl.LiteralMap:
    """Literals by name as a message."""
    return idl.LiteralMap(literals={name: literal_to_wire(each) for name, each in literals.items()})


def type_to_wire(literal_type: LiteralType) -> idl.LiteralType:
    """A type as a message."""
    match literal_type:
        case types.Simple(kind):
            return idl.LiteralType(simple=_SIMPLE[kind])
        case types.Enumeration(name, members):
            return idl.LiteralType(enum_type=idl.EnumType(name=name, members=list(members)))
        case types.Union(variants):
            wired = [idl.UnionVariant(tag=each.tag, type=type_to_wire(each.type)) for each in variants]
            return idl.LiteralType(union_type=idl.UnionType(variants=wired))
        case types.Collection(element):
            return idl.LiteralType(collection_type=type_to_wire(element))
        case types.Mapping(value):
            return idl.LiteralType(map_type=type_to_wire(value))
        case types.Record(name, fields):
            return idl.LiteralType(
                record_type=idl.RecordType(name=name, fields=[_field(each) for each in fields])
            )
        case types.Blob(directory, format_):
            kind = idl.BlobDimensionality.DIRECTORY if directory else idl.BlobDimensionality.FILE
            return idl.LiteralType(blob_type=idl.BlobType(dimensionality=kind, format=format_))
        case types.Dataset(columns, format_):
            wired_columns = [idl.DatasetColumn(name=name, type=type_to_wire(each)) for name, each in columns]
            return idl.LiteralType(
                dataset_type=idl.StructuredDatasetType(columns=wired_columns, format=format_)
            )
        case types.Binary(tag):
            return idl.LiteralType(binary_type=idl.BinaryType(tag=tag))


def _field(field: types.Field) -> idl.RecordField:
    default = None if field.default is None else literal_to_wire(field.default)
    return idl.RecordField(name=field.name, type=type_to_wire(field.type), default_value=default)


def variable_to_wire(variable: Variable) -> idl.Variable:
    """An input or output as a message."""
    default = None if variable.default is None else literal_to_wire(variable.default)
    return idl.Variable(
        name=variable.name,
        type=type_to_wire(variable.type),
        description=variable.description,
        default_value=default,
    )


def retry_to_wire(retry: Retry | None) -> idl.RetryPolicy | None:
    """A retry policy as a message."""
    if retry is None:
        return None
    delay, memory = retry.delay, retry.memory
    backoff = None
    if delay is not None:
        backoff = idl.Backoff(initial=delay.initial, factor=delay.factor, cap=delay.cap, jitter=delay.jitter)
    return idl.RetryPolicy(
        count=retry.count,
        backoff=backoff,
        retry_on=list(retry.names_on),
        never_on=list(retry.names_never_on),
        infrastructure_count=retry.infrastructure_count,
        memory_escalation=None
        if memory is None
        else idl.MemoryEscalation(factor=memory.factor, limit=memory.limit),
    )


def timeouts_to_wire(timeouts: Timeouts | None) -> idl.Timeouts | None:
    """Limits of time as a message."""
    if timeouts is None:
        return None
    return idl.Timeouts(queued=timeouts.queued, running=timeouts.running, total=timeouts.total)


def cache_to_wire(cache: Cache | bool | None) -> idl.CachePolicy | None:
    """A cache policy as a message; False becomes the one that switches caching off."""
    if not isinstance(cache, Cache):
        return None if cache is None else idl.CachePolicy()
    return idl.CachePolicy(
        version=cache.version,
        ignored_inputs=list(cache.ignored_inputs),
        serialize=cache.serialize,
        ttl=cache.ttl,
        scope=idl.CacheScope(cache.scope.value),
    )


def resources_to_wire(requests: Resources | None, limits: Resources | None) -> idl.Resources | None:
    """Requests and limits as a message."""
    if requests is None and limits is None:
        return None
    chosen = [each for each in (requests, limits) if each is not None]
    shared = next((each.shared_memory for each in chosen if each.shared_memory is not None), None)
    return idl.Resources(
        requests=_amounts(requests),
        limits=_amounts(limits),
        accelerator=next((each.accelerator for each in chosen if each.accelerator), ""),
        shared_memory=_text(shared),
    )


def _amounts(resources: Resources | None) -> idl.ResourceSet | None:
    if resources is None:
        return None
    return idl.ResourceSet(
        cpu=_text(resources.cpu),
        memory=_text(resources.memory),
        gpu=_text(resources.gpu),
        ephemeral_storage=_text(resources.ephemeral_storage),
    )


def _text(amount: str | int | float | None) -> str:
    return "" if amount is None else str(amount)


def secret_to_wire(secret: Secret) -> idl.SecretRequest:
    """A secret request as a message."""
    return idl.SecretRequest(
        group=secret.group,
        key=secret.key,
        environment_variable=secret.env_var or None,
        file=secret.file or None,
    )


def pod_template_to_wire(template: PodTemplate | None) -> idl.PodTemplate | None:
    """A pod template as a message."""
    if template is None:
        return None
    wired = idl.PodTemplate(
        name=template.name,
        primary_container=template.primary_container_name,
        labels=dict(template.labels),
        annotations=dict(template.annotations),
        service_account=template.service_account,
    )
    if template.spec is not None:
        wired.spec = struct_to_wire(template.spec)
    return wired


def struct_to_wire(value: Mapping[str, Any]) -> google.Struct:
    """A JSON object as a message: the one that a literal would carry."""
    carried = literal_to_wire(Literal(values.STRUCT, dict(value))).struct_value
    assert carried is not None
    return carried


def docs_to_wire(docs: Documentation | None) -> idl.Documentation | None:
    """Text for people as a message."""
    if docs is None:
        return None
    return idl.Documentation(summary=docs.summary, description=docs.description, source_uri=docs.source_uri)
