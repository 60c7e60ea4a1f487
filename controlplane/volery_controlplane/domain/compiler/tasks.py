"""Checks one task, and wraps it in a workflow of one node so that it can be run alone."""

from __future__ import annotations

import re

from voleryidl.core.v1.closure_pb2 import CompiledWorkflow, NodeConnections, WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler.interfaces import check_interface
from volery_controlplane.domain.compiler.pods import check_container, check_pods
from volery_controlplane.domain.compiler.report import Code, Place, Report
from volery_controlplane.domain.compiler.settings import check_task_settings
from volery_controlplane.domain.names import shown

# The id of the only node of the workflow that runs a single task.
SINGLE_NODE_ID = "task"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_task(task: TaskTemplate, place: Place, report: Report) -> None:
    """Complains about everything that is wrong with a task, but for its identifier."""
    check_interface(task.interface, place.at("interface"), report)
    check_task_settings(task, place, report)
    check_pods(task, place, report)
    if not task.type:
        message = "it is not said who can run the task"
        report.add(Code.ILLEGAL_TARGET, place.at("type"), message, "for example `python` or `container`")
    target = task.WhichOneof("target")
    if task.type in ("python", "container") and target != task.type:
        has = f"has a {target} target" if target else "has none"
        message = f"a task of type {task.type} needs a {task.type} target, but this one {has}"
        report.add(Code.ILLEGAL_TARGET, place.at(task.type), message)
    if target == "python":
        _check_python(task, place.at("python"), report)
    elif target == "container":
        check_container(task, place.at("container"), report)


def _check_python(task: TaskTemplate, place: Place, report: Report) -> None:
    for field in ("module", "qualname"):
        name: str = getattr(task.python, field)
        if not name or not all(part.isidentifier() for part in name.split(".")):
            message = f"{shown(name)} cannot be imported"
            hint = "only functions at the top of a module, or of a class there, can be tasks"
            report.add(Code.ILLEGAL_TARGET, place.at(field), message, hint)
    if task.python.HasField("bundle"):
        bundle = task.python.bundle
        if not _SHA256.fullmatch(bundle.sha256):
            message = "the code bundle's SHA-256 is not 64 lower-case hexadecimal digits"
            report.add(Code.ILLEGAL_TARGET, place.at("bundle.sha256"), message)
        if bundle.format != "zip":
            message = f"a code bundle is a zip archive, not {shown(bundle.format)}"
            report.add(Code.ILLEGAL_TARGET, place.at("bundle.format"), message)


def task_closure(task: TaskTemplate) -> WorkflowClosure:
    """A workflow with the task's name, version and interface whose only node runs the task."""
    id = Identifier()
    id.CopyFrom(task.id)
    id.kind = EntityKind.ENTITY_KIND_WORKFLOW
    workflow = WorkflowTemplate(id=id, interface=task.interface)
    node = workflow.nodes.add(id=SINGLE_NODE_ID)
    node.task.task_id.CopyFrom(task.id)
    for variable in task.interface.inputs:
        node.inputs.add(name=variable.name).value.promise.name = variable.name
    for variable in task.interface.outputs:
        promise = workflow.outputs.add(name=variable.name).value.promise
        promise.node_id, promise.name = SINGLE_NODE_ID, variable.name
    connections = [
        NodeConnections(node_id=SINGLE_NODE_ID),
        NodeConnections(node_id="", upstream_node_ids=[SINGLE_NODE_ID] if task.interface.outputs else []),
    ]
    return WorkflowClosure(
        primary=id,
        workflows=[CompiledWorkflow(template=workflow, connections=connections)],
        tasks=[task],
    )
