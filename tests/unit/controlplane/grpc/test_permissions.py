from __future__ import annotations

import pytest
from support.packages import chain, package
from volery_controlplane.domain.errors import Denied
from volery_controlplane.domain.principals import GRANTABLE, Principal, Role
from volery_controlplane.domain.records import ExecutionName
from volery_controlplane.grpc.permissions import OPEN, REFLECTION, RULES, rule_of
from volery_controlplane.grpc.server import SERVICES
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.data.v1 import data_service_pb2
from voleryidl.engine.v1 import engine_service_pb2
from voleryidl.execution.v1 import execution_service_pb2
from voleryidl.project.v1 import project_service_pb2
from voleryidl.registry.v1 import registry_service_pb2
from voleryidl.worker.v1 import worker_service_pb2

FILES = (
    engine_service_pb2,
    registry_service_pb2,
    execution_service_pb2,
    project_service_pb2,
    data_service_pb2,
    worker_service_pb2,
)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
CHANGES = ("Create", "Update", "Register", "Activate", "Deactivate", "Abort", "Delete", "Upload")


def test_every_call_of_the_contract_has_its_row() -> None:
    assert {service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()} == {
        *SERVICES
    }
    assert set(RULES) == {*METHODS, REFLECTION}
    assert not OPEN & set(RULES)


@pytest.mark.parametrize("method", METHODS)
def test_who_may_only_read_changes_nothing(method: str) -> None:
    name = method.rpartition("/")[2]
    assert (Role.VIEWER in RULES[method].roles) is not (name.startswith(CHANGES) or "WorkerService" in method)


@pytest.mark.parametrize("method", METHODS)
def test_what_a_request_is_about_is_found_wherever_projects_limit(method: str) -> None:
    """A call that those may make who can be limited names a project, or is about none by its nature."""
    about_none = {"ListProjects", "ListDomains", "GetServerInfo", "DownloadBlob", "SignBlobs", "StatBlob"}
    rule, kind = RULES[method], METHODS[method]
    limited = Principal("ann", Role.USER, frozenset({"mine"}))
    if not rule.roles & {Role.VIEWER, Role.USER} or kind.name in about_none:
        return
    request = kind.input_type._concrete_class()
    if kind.name == "Register":
        request.CopyFrom(package([chain("chain", 1)]))
    with pytest.raises(Denied):
        rule.check(limited, request)


@pytest.mark.parametrize("method", METHODS)
def test_an_attempt_that_names_nothing_of_its_own_gets_nothing(method: str) -> None:
    open_to_all = {"ListDomains", "GetServerInfo", "DownloadBlob", "SignBlobs", "StatBlob"}
    attempt = Principal("attempt:x", Role.ATTEMPT, execution=ExecutionName("p", "d", "e"), path="n0")
    kind = METHODS[method]
    if kind.name in open_to_all:
        return
    with pytest.raises(Denied):
        rule_of(method, attempt).check(attempt, kind.input_type._concrete_class())


def test_an_administrator_may_make_every_call() -> None:
    for method in METHODS:
        rule_of(method, Principal("root", Role.ADMINISTRATOR))


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_a_call_that_has_no_row_is_an_administrators(role: Role) -> None:
    method = "/voleryidl.future.v1.FutureService/Surprise"
    rule_of(method, Principal("root", Role.ADMINISTRATOR))
    with pytest.raises(Denied):
        rule_of(method, Principal("somebody", role))


def test_a_package_is_about_every_project_it_refers_to() -> None:
    request = package([chain("chain", 2)])
    request.launch_plans.append(LaunchPlanTemplate())
    plan = request.launch_plans[0]
    plan.id.project = request.tasks[0].id.project
    plan.workflow_id.project = "theirs"
    rule = RULES["/voleryidl.registry.v1.RegistryService/Register"]
    assert set(rule.projects(request)) == {request.tasks[0].id.project, "theirs"}


def test_an_attempts_role_cannot_be_granted() -> None:
    assert set(GRANTABLE) == set(Role) - {Role.ATTEMPT}
