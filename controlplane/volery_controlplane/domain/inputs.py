"""The inputs an execution runs with: given, fixed and default values together, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping

from volery_rules import types
from volery_rules.casting import cast
from voleryidl.core.v1.interface_pb2 import TypedInterface, Variable
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap

from volery_controlplane.domain.compiler.report import Code, Place, Report
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.launch_plans import check_values
from volery_controlplane.domain.names import shown


def effective_inputs(
    interface: TypedInterface,
    given: LiteralMap,
    plan: LaunchPlanTemplate | None = None,
    field: str = "inputs",
) -> LiteralMap:
    """What an execution runs with, cast to the declared types.

    A fixed input cannot be given; what is given beats the plan's default, and that the workflow's own.

    Args:
        interface: of the workflow or task.
        given: what the caller gives.
        plan: the launch plan, where one is started.
        field: what complaints call the inputs.

    Raises:
        Invalid: with everything that is wrong.
    """
    declared = {variable.name: variable for variable in interface.inputs}
    fixed: Mapping[str, Literal] = plan.fixed_inputs.literals if plan else {}
    defaults: Mapping[str, Literal] = plan.default_inputs.literals if plan else {}
    report, place = Report(), Place(field)
    check_values(given.literals, declared, place, report)
    for name in sorted(set(given.literals) & set(fixed)):
        message = f"{shown(name)} is fixed by the launch plan"
        hint = "leave it out, or start the workflow through another launch plan"
        report.add(Code.DEFAULT_AND_FIXED, place.at(f"[{name}]"), message, hint)
    effective = LiteralMap()
    for name, variable in declared.items():
        value = _chosen(name, variable, fixed, given.literals, defaults)
        if value is None:
            message = f"the input {shown(name)} is required: {types.text(variable.type)}"
            report.add(Code.UNBOUND_INPUT, place.at(f"[{name}]"), message, "give a value")
        elif report.is_empty:
            effective.literals[name].CopyFrom(cast(value, variable.type))
    found = report.violations
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Invalid(f"{found[0].field}: {found[0].message}{more}", found)
    return effective


def _chosen(name: str, variable: Variable, *sources: Mapping[str, Literal]) -> Literal | None:
    for source in sources:
        if name in source:
            return source[name]
    return variable.default_value if variable.HasField("default_value") else None
