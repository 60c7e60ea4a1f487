"""Lays one part of a pod over another, by the habits of Kubernetes' strategic merge.

Objects are merged field by field; lists whose elements have a key are merged by it, in the order of the
lower list and then of the upper; tolerations are added; other lists and plain values are replaced. Nothing
that was passed in is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

# The merge keys of the lists of a pod.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "protocol"),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
    "readinessGates": ("conditionType",),
    "schedulingGates": ("name",),
}
# Elements of which one part excludes another: the upper one replaces the lower whole.
_WHOLE = frozenset({"env", "volumes", "volumeMounts"})
_ADDED = frozenset({"tolerations", "envFrom"})
_DEFAULTS = {"protocol": "TCP"}


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """An object with another laid over it; None in the upper one removes a field."""
    made = dict(lower)
    for name, value in upper.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _laid_over(name, made.get(name), value)
    return made


def _laid_over(name: str, lower: Any, upper: Any) -> Any:
    if isinstance(upper, Mapping):
        return merged(lower if isinstance(lower, Mapping) else {}, upper)
    if isinstance(upper, list | tuple):
        lower = lower if isinstance(lower, list | tuple) else ()
        if name in _ADDED:
            return [*lower, *(element for element in upper if element not in lower)]
        if key := _KEYS.get(name):
            return by_key(lower, upper, key, whole=name in _WHOLE)
        return list(upper)
    return upper


def by_key(
    lower: Sequence[Any], upper: Sequence[Any], key: tuple[str, ...], *, whole: bool = False
) -> list[Any]:
    """Two lists of objects as one: those of the same key are merged, or the upper one's is taken whole."""
    made: dict[tuple[Any, ...], Any] = {}
    for element in (*lower, *upper):
        name = tuple(element.get(part, _DEFAULTS.get(part)) for part in key)
        made[name] = merged(made[name], element) if name in made and not whole else element
    return list(made.values())


def plain(struct: Struct) -> dict[str, Any]:
    """A Struct as plain values. Its numbers are doubles; whole ones become integers, as the API wants."""
    return {name: _plain(value) for name, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return plain(value.struct_value)
        case "list_value":
            return [_plain(element) for element in value.list_value.values]
        case _:
            return None
