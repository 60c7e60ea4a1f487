"""Launch plans: what a caller may give, the default plan of a workflow, and plans that make no sense."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from volery_rules import types
from volery_rules.casting import Uncastable, cast, castable
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface, Variable
from voleryidl.core.v1.launch_plan_pb2 import CatchUp, ExecutionOptions, LaunchPlanTemplate, Schedule
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import SimpleType
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.compiler.settings import check_environment, is_positive
from volery_controlplane.domain.kubernetes_names import check_object_name
from volery_controlplane.domain.names import shown

_DATETIME = types.simple(SimpleType.SIMPLE_TYPE_DATETIME)
_ALIASES = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_CRON_FIELD = re.compile(r"[0-9A-Za-z*/,?#-]+")
_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")


def default_plan(workflow: WorkflowTemplate) -> LaunchPlanTemplate:
    """The launch plan that comes with a workflow: its name and version, nothing bound."""
    id = Identifier()
    id.CopyFrom(workflow.id)
    id.kind = EntityKind.ENTITY_KIND_LAUNCH_PLAN
    return LaunchPlanTemplate(id=id, workflow_id=workflow.id)


def plan_interface(plan: LaunchPlanTemplate, workflow: TypedInterface) -> TypedInterface:
    """What a caller of a launch plan may give, with defaults, and what comes out."""
    interface = TypedInterface(outputs=workflow.outputs)
    for declared in workflow.inputs:
        if declared.name in plan.fixed_inputs.literals:
            continue
        free = interface.inputs.add()
        free.CopyFrom(declared)
        if declared.name in plan.default_inputs.literals:
            free.default_value.CopyFrom(plan.default_inputs.literals[declared.name])
    return interface


def check_plan(
    plan: LaunchPlanTemplate, workflow: TypedInterface | None, place: Place, report: Report
) -> None:
    """Complains about inputs, options and schedules. Without a workflow its inputs are not looked at."""
    if workflow is not None:
        _check_inputs(plan, workflow, place, report)
    check_options(plan.options, place.at("options"), report)
    seen: set[str] = set()
    for index, schedule in enumerate(plan.schedules):
        here = place.at(f"schedules[{index}]")
        if schedule.id in seen:
            report.add(Code.ILLEGAL_SCHEDULE, here.at("id"), f"{shown(schedule.id)} is there twice")
        seen.add(schedule.id)
        _check_schedule(schedule, here, report)
        if workflow is not None:
            _check_slot_inputs(plan, schedule, workflow, here, report)


def check_options(options: ExecutionOptions, place: Place, report: Report) -> None:
    """Complains about options that no execution can have, of a launch plan or of a request."""
    if options.HasField("timeout") and not is_positive(options.timeout):
        message = "the limit must be longer than nothing"
        report.add(Code.ILLEGAL_TIMEOUT, place.at("timeout"), message, "leave it out for no limit")
    check_environment(options.environment, place.at("environment"), report)
    account = options.service_account
    if account and (complaint := check_object_name(account)):
        report.add(Code.ILLEGAL_NAME, place.at("service_account"), f"{shown(account)} {complaint}")


def _check_inputs(plan: LaunchPlanTemplate, workflow: TypedInterface, place: Place, report: Report) -> None:
    declared = {variable.name: variable for variable in workflow.inputs}
    defaults, fixed = plan.default_inputs.literals, plan.fixed_inputs.literals
    check_values(defaults, declared, place.at("default_inputs"), report)
    check_values(fixed, declared, place.at("fixed_inputs"), report)
    for name in sorted(defaults.keys() & fixed.keys()):
        message = f"{shown(name)} has a default and is fixed"
        hint = "keep one: a caller may override a default, but not a fixed input"
        report.add(Code.DEFAULT_AND_FIXED, place.at(f"fixed_inputs[{name}]"), message, hint)


def check_values(
    values: Mapping[str, Literal], declared: Mapping[str, Variable], place: Place, report: Report
) -> None:
    """Complains about values of inputs that do not exist or have another type."""
    for name in sorted(values):
        here = place.at(f"[{name}]")
        if name not in declared:
            message = f"there is no input {shown(name)}"
            report.add(Code.UNKNOWN_INPUT, here, message, did_you_mean(name, declared))
            continue
        type_ = declared[name].type
        if type_.WhichOneof("type") is None:
            continue  # complained about where it is declared
        try:
            cast(values[name], type_)
        except Uncastable as misfit:
            report.add(Code.ILLEGAL_VALUE, here, f"the value is no {types.text(type_)}: {misfit}")


def _check_schedule(schedule: Schedule, place: Place, report: Report) -> None:
    if not schedule.id:
        report.add(Code.ILLEGAL_SCHEDULE, place.at("id"), "a schedule needs an id")
    match schedule.WhichOneof("when"):
        case "cron":
            fields = schedule.cron.split()
            if schedule.cron not in _ALIASES and (
                len(fields) != 5 or not all(_CRON_FIELD.fullmatch(part) for part in fields)
            ):
                message = f"{shown(schedule.cron)} is no cron expression"
                hint = "give minute, hour, day, month and weekday, or an alias such as @daily"
                report.add(Code.ILLEGAL_SCHEDULE, place.at("cron"), message, hint)
        case "interval":
            if not is_positive(schedule.interval):
                message = "the interval must be longer than nothing"
                report.add(Code.ILLEGAL_SCHEDULE, place.at("interval"), message)
        case _:
            report.add(Code.ILLEGAL_SCHEDULE, place, "neither a cron expression nor an interval is set")
    if schedule.time_zone and not _TIME_ZONE.fullmatch(schedule.time_zone):
        message = f"{shown(schedule.time_zone)} is no IANA time zone"
        report.add(Code.ILLEGAL_SCHEDULE, place.at("time_zone"), message, "for example Europe/Berlin")
    if schedule.catch_up_limit and schedule.catch_up != CatchUp.CATCH_UP_ALL:
        message = "a limit of caught-up slots needs the policy to catch up all"
        report.add(Code.ILLEGAL_SCHEDULE, place.at("catch_up_limit"), message)


def _check_slot_inputs(
    plan: LaunchPlanTemplate, schedule: Schedule, workflow: TypedInterface, place: Place, report: Report
) -> None:
    declared = {variable.name: variable for variable in workflow.inputs}
    if schedule.time_input:
        here, variable = place.at("time_input"), declared.get(schedule.time_input)
        if variable is None:
            message = f"there is no input {shown(schedule.time_input)}"
            report.add(Code.UNKNOWN_INPUT, here, message, did_you_mean(schedule.time_input, declared))
        elif schedule.time_input in plan.fixed_inputs.literals:
            report.add(Code.ILLEGAL_SCHEDULE, here, f"{shown(schedule.time_input)} is fixed")
        elif variable.type.WhichOneof("type") and not castable(_DATETIME, variable.type).accepted:
            message = f"{shown(schedule.time_input)} is {types.text(variable.type)}, not datetime"
            report.add(Code.MISMATCHING_TYPES, here, message)
    missing = sorted(_unbound(plan, declared.values()) - {schedule.time_input})
    if missing:
        message = f"a schedule can give no value for the required {_inputs(missing)}"
        report.add(Code.UNBOUND_INPUT, place, message, "give defaults or fixed inputs")


def _unbound(plan: LaunchPlanTemplate, declared: Iterable[Variable]) -> set[str]:
    required = {variable.name for variable in declared if not variable.HasField("default_value")}
    return required - plan.default_inputs.literals.keys() - plan.fixed_inputs.literals.keys()


def _inputs(names: list[str]) -> str:
    return ("input " if len(names) == 1 else "inputs ") + ", ".join(shown(name) for name in names)
