"""Cache keys: when two calls of a task count as the same call.

A key is made from named parts, so that a miss can be explained by the parts that differ: the scope
(project and domain of the execution, or the whole installation), the task's name, the cache version
its author gave, its interface, and each input that is not ignored. The task's own version is no part
of it: new code keeps old results until its author raises the cache version.

A value is known by its content: a hash given by its producer stands for it, at any depth; files,
tables and offloaded values are known by their SHA-256 where there is one, else by where they lie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.task_pb2 import CachePolicy, CacheScope, TaskTemplate
from voleryidl.core.v1.workflow_pb2 import NodeOverrides

from volery_rules import types
from volery_rules.canonical import Tokens, canonical_bytes

ALGORITHM = 1


@dataclass(frozen=True, slots=True)
class CacheKey:
    """A key, and what it was made from.

    Attributes:
        key: the number of the algorithm, a colon and a SHA-256 in hexadecimal.
        parts: by name: `scope`, `task`, `version`, `interface`, and `inputs.NAME` for each input.
    """

    key: str
    parts: dict[str, str] = field(compare=False)


def cache_policy(task: TaskTemplate, overrides: NodeOverrides | None = None) -> CachePolicy | None:
    """The policy that holds for a node; None where results are not reused."""
    if overrides is not None and overrides.HasField("cache"):
        policy = overrides.cache
    elif task.HasField("cache"):
        policy = task.cache
    else:
        return None
    # Without outputs there is nothing to reuse, and its effects would silently not happen.
    return policy if policy.version and task.interface.outputs else None


def cache_key(
    task: TaskTemplate,
    project_domain: str,
    inputs: Mapping[str, Literal],
    policy: CachePolicy | None = None,
    interface: str = "",
) -> CacheKey:
    """The key of one call.

    Args:
        task: the task that is called.
        project_domain: `project/domain` of the execution.
        inputs: the effective inputs, cast.
        policy: the node's policy where it overrides the task's.
        interface: what `interface_digest` gave for the task, for those who keep it.
    """
    policy = policy if policy is not None else task.cache
    installation_wide = policy.scope == CacheScope.CACHE_SCOPE_GLOBAL
    parts = {
        "scope": "global" if installation_wide else project_domain,
        "task": task.id.name,
        "version": policy.version,
        "interface": interface or interface_digest(task.interface),
    }
    for name in sorted(set(inputs) - set(policy.ignored_inputs)):
        parts[f"inputs.{name}"] = value_digest(inputs[name])
    tokens = Tokens()
    for name, part in sorted(parts.items()):
        tokens.text(name)
        tokens.text(part)
    return CacheKey(f"{ALGORITHM}:{_sha256(tokens.bytes())}", parts)


def interface_digest(interface: TypedInterface) -> str:
    """A digest of the names and types of inputs and outputs; not of order, defaults and texts."""
    inputs = sorted((variable.name, types.shape(variable.type)) for variable in interface.inputs)
    outputs = sorted((variable.name, types.shape(variable.type)) for variable in interface.outputs)
    return _sha256(repr((inputs, outputs)).encode())


def value_digest(literal: Literal) -> str:
    """A digest of what a value is, wherever it lies."""
    tokens = Tokens()
    _known_by(literal, tokens)
    return _sha256(tokens.bytes())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _known_by(literal: Literal, tokens: Tokens) -> None:
    if literal.hash:
        tokens.text("hash")
        tokens.text(literal.hash)
        return
    arm = literal.WhichOneof("value")
    tokens.text(arm or "empty")
    match arm:
        case "collection_value":
            tokens.integer(len(literal.collection_value.literals))
            for element in literal.collection_value.literals:
                _known_by(element, tokens)
        case "map_value":
            _entries_known_by(literal.map_value.literals, tokens)
        case "record_value":
            _entries_known_by(literal.record_value.fields, tokens)
        case "union_value":
            tokens.text(literal.union_value.tag)
            _known_by(literal.union_value.value, tokens)
        case "blob_value":
            blob = literal.blob_value
            tokens.text(blob.format)
            tokens.integer(blob.directory)
            tokens.text(f"sha256:{blob.sha256}" if blob.sha256 else f"uri:{blob.uri}")
        case "dataset_value":
            dataset = literal.dataset_value
            tokens.text(dataset.format)
            tokens.text(f"sha256:{dataset.sha256}" if dataset.sha256 else f"uri:{dataset.uri}")
        case "offloaded_value":
            offloaded = literal.offloaded_value
            tokens.text(f"sha256:{offloaded.sha256}" if offloaded.sha256 else f"uri:{offloaded.uri}")
        case _:
            tokens.raw(canonical_bytes(literal))


def _entries_known_by(entries: Mapping[str, Literal], tokens: Tokens) -> None:
    tokens.integer(len(entries))
    for key in sorted(entries):
        tokens.text(key)
        _known_by(entries[key], tokens)
