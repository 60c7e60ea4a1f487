"""Who may make which call: the one table from methods to roles.

Every RPC of the IDL has a row; a test holds the two equal. One that has none is an administrator's. A row
also says which projects a request is about, for principals that are limited to some, and what an attempt
may ask: only about its own execution and node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from voleryidl.core.v1.identifier_pb2 import Identifier

from volery_controlplane.domain.principals import (
    ADMINISTRATORS,
    ANYBODY,
    READERS,
    WORKERS,
    WRITERS,
    Principal,
    Role,
)
from volery_controlplane.domain.records import ExecutionName

# Requests are of many types; each row knows the one of its method.
Projects = Callable[[Any], Iterable[str]]
Check = Callable[[Principal, Any], None]

OPEN = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})
"""Answered to anybody: what watches over a server has no token."""

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def _nowhere(request: Any) -> Iterable[str]:
    return ()


def _nothing(principal: Principal, request: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may make one call.

    Attributes:
        roles: whose it is.
        projects: those a request (or the first message of a stream of them) is about.
        own: raises Denied where an attempt asks for more than is its own.
    """

    roles: frozenset[Role]
    projects: Projects = _nowhere
    own: Check = _nothing

    def check(self, principal: Principal, request: Any) -> None:
        """Raises Denied where a principal of the right role asks for something of others."""
        if principal.projects:
            for project in self.projects(request):
                principal.require_project(project)
        if principal.execution is not None:
            self.own(principal, request)


def _project(request: Any) -> Iterable[str]:
    return (request.project,)


def _of_id(request: Any) -> Iterable[str]:
    return (request.id.project,)


def _of_execution(request: Any) -> Iterable[str]:
    return (request.execution_id.project,)


def _of_target(request: Any) -> Iterable[str]:
    return (request.project, request.target.project or request.project)


def _of_package(request: Message) -> Iterable[str]:
    """The projects of all that a package defines or refers to: a reference is a way to read and run."""
    return {id.project for id in _identifiers(request)}


def _identifiers(message: Message) -> Iterator[Identifier]:
    if isinstance(message, Identifier):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None or not _may_hold_identifiers(field.message_type):
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    yield from _identifiers(each)
        elif field.is_repeated:
            for each in value:
                yield from _identifiers(each)
        else:
            yield from _identifiers(value)


@cache
def _may_hold_identifiers(kind: Descriptor) -> bool:
    """Whether an Identifier can be reached from a message; values, which may be long, hold none."""
    seen, waiting = {kind.full_name}, [kind]
    while waiting:
        each = waiting.pop()
        if each.full_name == Identifier.DESCRIPTOR.full_name:
            return True
        below = [field.message_type for field in each.fields if field.message_type is not None]
        waiting += [inner for inner in below if inner.full_name not in seen]
        seen.update(inner.full_name for inner in below)
    return False


def _of_header(request: Any) -> Iterable[str]:
    return (request.header.project,)


def _own_execution(principal: Principal, request: Any) -> None:
    principal.require_own(_name(request.id))


def _own_node(principal: Principal, request: Any) -> None:
    principal.require_own(_name(request.execution_id), request.path)


def _own_upload(principal: Principal, request: Any) -> None:
    mine = principal.execution
    assert mine is not None, "only an attempt is asked"
    principal.require_own(ExecutionName(request.header.project, request.header.domain, mine.name))


def _name(id: Any) -> ExecutionName:
    return ExecutionName(id.project, id.domain, id.name)


_ATTEMPTS = frozenset({Role.ATTEMPT})
_CARRIERS = READERS | WORKERS | _ATTEMPTS

_REGISTRY = "/voleryidl.registry.v1.RegistryService"
_EXECUTIONS = "/voleryidl.execution.v1.ExecutionService"
_PROJECTS = "/voleryidl.project.v1.ProjectService"
_ENGINE = "/voleryidl.engine.v1.EngineService"
_DATA = "/voleryidl.data.v1.DataService"
_WORKERS = "/voleryidl.worker.v1.WorkerService"

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        f"{_REGISTRY}/Register": Rule(WRITERS, _of_package),
        f"{_REGISTRY}/GetTask": Rule(READERS, _of_id),
        f"{_REGISTRY}/GetWorkflow": Rule(READERS, _of_id),
        f"{_REGISTRY}/GetLaunchPlan": Rule(READERS, _of_id),
        f"{_REGISTRY}/ListEntities": Rule(READERS, _project),
        f"{_REGISTRY}/ActivateLaunchPlan": Rule(WRITERS, _of_id),
        f"{_REGISTRY}/DeactivateLaunchPlan": Rule(WRITERS, _of_id),
        f"{_REGISTRY}/ListActivations": Rule(READERS, _of_id),
        f"{_EXECUTIONS}/CreateExecution": Rule(WRITERS, _of_target),
        f"{_EXECUTIONS}/GetExecution": Rule(READERS | _ATTEMPTS, _of_id, _own_execution),
        f"{_EXECUTIONS}/WaitExecution": Rule(READERS, _of_id),
        f"{_EXECUTIONS}/ListExecutions": Rule(READERS, _project),
        f"{_EXECUTIONS}/AbortExecution": Rule(WRITERS, _of_id),
        f"{_EXECUTIONS}/DeleteExecution": Rule(WRITERS, _of_id),
        f"{_EXECUTIONS}/GetExecutionData": Rule(READERS | _ATTEMPTS, _of_id, _own_execution),
        f"{_EXECUTIONS}/ListNodeExecutions": Rule(READERS, _of_execution),
        f"{_EXECUTIONS}/ListAttempts": Rule(READERS, _of_execution),
        f"{_EXECUTIONS}/GetNodeExecution": Rule(READERS | _ATTEMPTS, _of_execution, _own_node),
        f"{_EXECUTIONS}/GetNodeExecutionData": Rule(READERS | _ATTEMPTS, _of_execution, _own_node),
        f"{_EXECUTIONS}/WatchExecution": Rule(READERS, _of_id),
        f"{_EXECUTIONS}/WatchProject": Rule(READERS, _project),
        f"{_EXECUTIONS}/TailLogs": Rule(READERS, _of_execution),
        f"{_PROJECTS}/CreateProject": Rule(ADMINISTRATORS),
        f"{_PROJECTS}/GetProject": Rule(READERS, lambda request: (request.project_id,)),
        f"{_PROJECTS}/ListProjects": Rule(READERS),  # of others' projects the answer says nothing
        f"{_PROJECTS}/UpdateProject": Rule(ADMINISTRATORS),
        f"{_PROJECTS}/ListDomains": Rule(ANYBODY),
        f"{_PROJECTS}/GetServerInfo": Rule(ANYBODY),
        f"{_ENGINE}/GetEngineStatus": Rule(READERS, lambda request: ("all projects",)),  # it tells of all
        f"{_DATA}/UploadBlob": Rule(WRITERS | WORKERS | _ATTEMPTS, _of_header, _own_upload),
        f"{_DATA}/SignBlobs": Rule(_CARRIERS),  # each place is checked
        f"{_DATA}/DownloadBlob": Rule(_CARRIERS),  # the object store's places are checked when opened
        f"{_DATA}/StatBlob": Rule(_CARRIERS),
        f"{_WORKERS}/Work": Rule(WORKERS),
        f"{_WORKERS}/GetClosure": Rule(WORKERS),
        f"{_WORKERS}/GetValues": Rule(WORKERS),
        f"{_WORKERS}/ListLiveAttempts": Rule(WORKERS),
        REFLECTION: Rule(ANYBODY),
    }
)

_ADMINISTRATORS_ONLY = Rule(ADMINISTRATORS)


def rule_of(method: str, principal: Principal) -> Rule:
    """The rule of a method, for a principal of a role it allows.

    Raises:
        Denied: the role is another.
    """
    rule = RULES.get(method, _ADMINISTRATORS_ONLY)
    principal.require_role(rule.roles, method.rpartition("/")[2])
    return rule
