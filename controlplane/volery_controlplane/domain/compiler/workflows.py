"""Checks one workflow and finds its edges."""

from __future__ import annotations

from dataclasses import dataclass

from volery_rules.casting import Uncastable, cast
from voleryidl.core.v1.closure_pb2 import NodeConnections
from voleryidl.core.v1.interface_pb2 import Variable
from voleryidl.core.v1.types_pb2 import SimpleType
from voleryidl.core.v1.workflow_pb2 import Node, WorkflowTemplate

from volery_controlplane.domain.compiler import bindings, conditions, graph, nodes
from volery_controlplane.domain.compiler.bindings import Scope
from volery_controlplane.domain.compiler.interfaces import Interface, check_interface, interface_of
from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.compiler.settings import check_overrides
from volery_controlplane.domain.compiler.steps import (
    Role,
    Step,
    inner_steps,
    promises_in,
    reads_of,
    steps_of,
    target_of,
)
from volery_controlplane.domain.compiler.world import World
from volery_controlplane.domain.names import check_node_id, shown, suggestion

MAX_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one workflow may have.

    Attributes:
        nodes: how many nodes, with those inside branches and hooks.
    """

    nodes: int = MAX_NODES


def check_workflow(
    workflow: WorkflowTemplate, world: World, limits: Limits, place: Place, report: Report
) -> list[NodeConnections]:
    """Complains about everything that is wrong with a workflow, and gives its edges.

    The edges are those of the nodes in their order, then of nodes inside branches, then of the hooks,
    and last, with an empty id, those of the workflow's own outputs.
    """
    return _Check(workflow, world, place, report).run(limits)


class _Check:
    """One workflow under examination."""

    def __init__(self, workflow: WorkflowTemplate, world: World, place: Place, report: Report) -> None:
        self._workflow = workflow
        self._world = world
        self._place = place
        self._report = report
        self._steps = list(steps_of(workflow))
        declared = interface_of(workflow.interface)
        self._scope = Scope(
            {name: variable.type for name, variable in declared.inputs.items()},
            inner={step.node.id: step.branch for step in self._steps if step.role is Role.INNER},
        )
        self._outputs = declared.outputs
        self._casts: dict[str, list[str]] = {}
        self._upstream: dict[str, list[str]] = {}
        self._signals: dict[str, str] = {}

    def run(self, limits: Limits) -> list[NodeConnections]:
        """Checks everything."""
        check_interface(self._workflow.interface, self._place.at("interface"), self._report)
        if len(self._steps) > limits.nodes:
            message = f"the workflow has {len(self._steps)} nodes; {limits.nodes} are allowed"
            hint = "map over a list, or move parts into workflows of their own"
            self._report.add(Code.TOO_MANY_NODES, self._place.at("nodes"), message, hint)
            return []
        self._check_ids()
        self._find_edges()
        self._check_nodes()
        self._check_outputs()
        return self._connections()

    # --- ids and edges -------------------------------------------------------------------------

    def _at(self, step: Step) -> Place:
        return self._place.at(step.field).of(step.node.id)

    def _check_ids(self) -> None:
        seen: dict[str, str] = {}
        for step in self._steps:
            id, here = step.node.id, self._at(step)
            complaint = check_node_id(id)
            if complaint:
                hint = suggestion(id, check_node_id)
                self._report.add(Code.ILLEGAL_NAME, here.at("id"), f"the node's id {complaint}", hint)
            elif id in seen:
                message = f"{shown(id)} is the id of another node already, at {seen[id]}"
                self._report.add(Code.DUPLICATE_NODE, here.at("id"), message)
            seen.setdefault(id, step.field)

    def _find_edges(self) -> None:
        top = {step.node.id for step in self._steps if step.role is Role.NODE}
        for step in self._steps:
            self._upstream.setdefault(step.node.id, list(self._edges_of(step, top)))

    def _edges_of(self, step: Step, top: set[str]) -> dict[str, None]:
        """The nodes a step itself depends on, in the order in which it names them."""
        found: dict[str, None] = {}
        named = [(field, promise.node_id) for field, promise in reads_of(step.node) if promise.node_id]
        named += [("upstream_node_ids", id) for id in step.node.upstream_node_ids]
        for field, id in named:
            if step.role in (Role.ON_FAILURE, Role.ON_EXIT):
                message = f"a hook cannot depend on node {shown(id)}, which may not have run"
                hint = "bind inputs of the workflow, constants, or an input of type error"
                self._report.add(Code.ILLEGAL_HOOK, self._at(step).at(field), message, hint)
            elif id not in top:
                self._unknown_node(id, self._at(step).at(field), top)
            else:
                found[id] = None
        return found

    def _unknown_node(self, id: str, place: Place, top: set[str]) -> None:
        if id in self._scope.inner:
            branch = self._scope.inner[id]
            hint = f"it is inside the branch {shown(branch)}: take the outputs of the branch"
        else:
            hint = did_you_mean(id, top)
        self._report.add(Code.UNKNOWN_NODE, place, f"there is no node {shown(id)}", hint)

    def _dependencies(self) -> dict[str, list[str]]:
        """What must end before each node, with what nodes inside it need."""
        needed: dict[str, dict[str, None]] = {}
        holder = ""
        for step in self._steps:
            if step.role is Role.NODE:
                holder = step.node.id
            elif step.role is not Role.INNER:
                break  # the hooks come last
            needed.setdefault(holder, {}).update(dict.fromkeys(self._upstream[step.node.id]))
        return {id: list(found) for id, found in needed.items()}

    # --- nodes ---------------------------------------------------------------------------------

    def _check_nodes(self) -> None:
        dependencies = self._dependencies()
        order = graph.order(dependencies)
        top: dict[str, Step] = {}
        doubles: list[Step] = []
        for step in self._steps:
            if step.role is Role.NODE:
                if step.node.id in top:
                    doubles.append(step)
                top.setdefault(step.node.id, step)
        for cycle in order.cycles:
            message = f"the nodes wait for each other: {graph.walk_text(cycle)}; each waits for the next"
            self._report.add(Code.CYCLE, self._at(top[cycle[0]]), message, "remove one of these dependencies")
        for id, culprit in order.stuck.items():
            message = f"the node can never start: it waits for {shown(culprit)}, which is in a cycle"
            self._report.add(Code.UNREACHABLE_NODE, self._at(top[id]), message)
        left = dependencies.keys() - set(order.nodes)
        for id in [*order.nodes, *(id for id in top if id in left)]:
            interface = self._check_step(top[id])
            self._scope.outputs[id] = None if interface is None else interface.outputs
            for name in dependencies[id]:
                if name not in self._upstream[id]:
                    self._upstream[id].append(name)
        for step in doubles:
            self._check_step(step)
        for step in self._steps:
            if step.role in (Role.ON_FAILURE, Role.ON_EXIT):
                self._check_step(step)

    def _check_step(self, step: Step) -> Interface | None:
        """Checks a node and those inside it; gives its interface where that is known."""
        node, here = step.node, self._at(step)
        kind = node.WhichOneof("target")
        if step.role in (Role.ON_FAILURE, Role.ON_EXIT) and kind in ("gate", "branch"):
            message = f"a hook runs a task, a workflow, a launch plan or a map, not a {kind}"
            self._report.add(Code.ILLEGAL_HOOK, here.at(str(kind)), message)
            return None
        match kind:
            case "task" | "workflow" | "launch_plan" | "map":
                interface = self._check_entity_node(step)
            case "gate":
                interface = nodes.gate_interface(node, self._scope, here)
                signal = nodes.check_gate(node, here, self._report)
                self._check_signal(signal, node, here)
                self._check_inputs(step, interface)
            case "branch":
                interface = self._check_branch(step)
            case _:
                message = "it is not said what the node does"
                self._report.add(Code.MISSING_TARGET, here, message)
                return None
        entity = target_of(node)
        declared = None
        if entity is not None:
            declared = self._world.interface_of(entity[0], entity[1])
        check_overrides(node, declared, here, self._report)
        return interface

    def _check_entity_node(self, step: Step) -> Interface | None:
        node, here = step.node, self._at(step)
        entity = target_of(node)
        if entity is None:
            self._report.add(Code.MISSING_TARGET, here.at("map"), "it is not said what each item runs")
            return None
        kind, id = entity
        field = f"map.{node.map.WhichOneof('target')}" if node.HasField("map") else node.WhichOneof("target")
        ref = self._world.check_reference(kind, id, here.at(str(field)), self._report)
        interface = self._world.resolved(ref)
        if interface is None:
            self._check_reads(step)
            return None
        if node.HasField("map"):
            nodes.check_map(node, interface, here, self._report)
            declared, interface = interface, nodes.map_interface(interface, node.map)
        else:
            declared = interface
        self._check_inputs(step, interface, declared)
        return interface

    def _check_branch(self, step: Step) -> Interface | None:
        node, here = step.node, self._at(step)
        arms: dict[str, Interface | None] = {}
        for inner in inner_steps(step):
            arms[inner.node.id] = self._check_step(inner)
        for index, arm in enumerate(node.branch.arms):
            there = here.at(f"branch.arms[{index}].condition")
            conditions.check_condition(arm.condition, self._scope, there, self._report)
        nodes.check_branch(node, arms, here, self._report)
        interface = nodes.branch_interface(arms)
        for binding in node.inputs:
            message = "a branch has no inputs of its own"
            hint = "bind to the nodes inside it; conditions refer to values directly"
            self._report.add(Code.UNKNOWN_INPUT, here.at(f"inputs[{binding.name}]"), message, hint)
        return interface

    def _check_signal(self, signal: str, node: Node, place: Place) -> None:
        if signal and signal in self._signals:
            message = f"node {shown(self._signals[signal])} waits for the signal {shown(signal)} too"
            self._report.add(Code.DUPLICATE_SIGNAL, place.at("gate"), message)
        elif signal:
            self._signals[signal] = node.id

    # --- inputs and outputs --------------------------------------------------------------------

    def _check_reads(self, step: Step) -> None:
        """Looks at the promises of a node whose own types are not known."""
        for binding in step.node.inputs:
            for promise in promises_in(binding.value):
                here = self._at(step).at(f"inputs[{binding.name}]")
                bindings.promise_type(promise, self._scope, here, self._report)

    def _check_inputs(self, step: Step, interface: Interface, declared: Interface | None = None) -> None:
        node, here = step.node, self._at(step)
        bound: set[str] = set()
        casts = self._casts.setdefault(node.id, [])
        for binding in node.inputs:
            place, name = here.at(f"inputs[{binding.name}]"), binding.name
            variable = interface.inputs.get(name)
            if name in bound:
                self._report.add(Code.DOUBLY_BOUND_INPUT, place, f"the input {shown(name)} is bound twice")
            elif variable is None:
                if node.WhichOneof("target") == "gate" and node.gate.HasField("approval"):
                    continue  # not a promise, which is told there
                hint = did_you_mean(name, interface.inputs)
                self._report.add(Code.UNKNOWN_INPUT, place, f"there is no input {shown(name)}", hint)
            elif bindings.check_binding(binding.value, variable.type, self._scope, place, self._report):
                casts.append(name)
            bound.add(name)
        for name, variable in interface.inputs.items():
            if name in bound:
                continue
            if variable.HasField("default_value"):
                original = declared.inputs[name] if declared else variable
                if node.WhichOneof("target") != "launch_plan" and _changes(original):
                    casts.append(name)
            elif not (step.role in (Role.ON_FAILURE, Role.ON_EXIT) and self._gets_failure(step, variable)):
                message = f"the input {shown(name)} is not bound and has no default"
                self._report.add(Code.UNBOUND_INPUT, here.at(f"inputs[{name}]"), message, "bind it")

    def _gets_failure(self, step: Step, variable: Variable) -> bool:
        """Whether a hook's unbound input gets the failure; complains where there may be none to give."""
        type_ = variable.type
        if type_.simple == SimpleType.SIMPLE_TYPE_ERROR:
            if step.role is Role.ON_EXIT:
                message = f"the input {shown(variable.name)} gets the failure, but there may be none"
                hint = "declare it optional, since a workflow that succeeds has no failure"
                here = self._at(step).at(f"inputs[{variable.name}]")
                self._report.add(Code.ILLEGAL_HOOK, here, message, hint)
            return True
        variants = [variant.type.simple for variant in type_.union_type.variants]
        return sorted(variants) == [SimpleType.SIMPLE_TYPE_NONE, SimpleType.SIMPLE_TYPE_ERROR]

    def _check_outputs(self) -> None:
        bound: set[str] = set()
        casts = self._casts.setdefault("", [])
        upstream: dict[str, None] = {}
        top = self._scope.outputs.keys()
        for binding in self._workflow.outputs:
            name, here = binding.name, self._place.at(f"outputs[{binding.name}]")
            for promise in promises_in(binding.value):
                if promise.node_id and promise.node_id not in top:
                    self._unknown_node(promise.node_id, here, set(top))
                elif promise.node_id:
                    upstream[promise.node_id] = None
            if name in bound:
                message = f"the output {shown(name)} is bound twice"
                self._report.add(Code.DOUBLY_BOUND_OUTPUT, here, message)
            elif name not in self._outputs:
                hint = did_you_mean(name, self._outputs)
                self._report.add(Code.UNKNOWN_OUTPUT, here, f"no output {shown(name)} is declared", hint)
            elif bindings.check_binding(binding.value, self._outputs[name], self._scope, here, self._report):
                casts.append(name)
            bound.add(name)
        for name in self._outputs:
            if name not in bound:
                message = f"the declared output {shown(name)} is not bound"
                self._report.add(Code.UNBOUND_OUTPUT, self._place.at(f"outputs[{name}]"), message)
        self._upstream[""] = list(upstream)

    def _connections(self) -> list[NodeConnections]:
        rank = {Role.NODE: 0, Role.INNER: 1, Role.ON_FAILURE: 2, Role.ON_EXIT: 3}
        ordered = sorted(self._steps, key=lambda step: rank[step.role])
        return [
            NodeConnections(
                node_id=id,
                upstream_node_ids=self._upstream.get(id, ()),
                cast_inputs=self._casts.get(id, ()),
            )
            for id in (*(step.node.id for step in ordered), "")
        ]


def _changes(variable: Variable) -> bool:
    """Whether a default has to be cast when it is used."""
    try:
        return cast(variable.default_value, variable.type) is not variable.default_value
    except Uncastable:
        return False  # complained about where it is declared
