"""What entities take and give: checked where it is declared, and read where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from volery_rules import types
from volery_rules.casting import Uncastable, cast
from voleryidl.core.v1.interface_pb2 import TypedInterface, Variable
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import BlobDimensionality, LiteralType, RecordField

from volery_controlplane.domain.compiler.report import Code, Place, Report
from volery_controlplane.domain.names import check_variable_name, shown, suggestion


@dataclass(frozen=True, slots=True)
class Interface:
    """What a node takes and gives, by name. The messages belong to templates and are not changed."""

    inputs: Mapping[str, Variable]
    outputs: Mapping[str, LiteralType]


NOTHING = Interface({}, {})


def interface_of(declared: TypedInterface) -> Interface:
    """A declared interface by name."""
    return Interface(
        {variable.name: variable for variable in declared.inputs},
        {variable.name: variable.type for variable in declared.outputs},
    )


def check_interface(declared: TypedInterface, place: Place, report: Report) -> None:
    """Complains about names, types and defaults."""
    _check_variables(declared.inputs, place.at("inputs"), report)
    _check_variables(declared.outputs, place.at("outputs"), report)
    for variable in declared.outputs:
        if variable.HasField("default_value"):
            here = place.at(f"outputs[{variable.name}].default_value")
            report.add(Code.ILLEGAL_DEFAULT, here, "an output has no default value")


def _check_variables(variables: Sequence[Variable], place: Place, report: Report) -> None:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        here = place.at(f"[{variable.name or index}]")
        complaint = check_variable_name(variable.name)
        if complaint:
            hint = suggestion(variable.name, check_variable_name)
            report.add(Code.ILLEGAL_NAME, here.at("name"), f"the name {complaint}", hint)
        if variable.name in seen:
            report.add(Code.DUPLICATE_VARIABLE, here, f"{shown(variable.name)} is declared twice")
        seen.add(variable.name)
        if check_type(variable.type, here.at("type"), report) and variable.HasField("default_value"):
            _check_default(variable.default_value, variable.type, here.at("default_value"), report)


def _check_default(value: Literal, type_: LiteralType, place: Place, report: Report) -> None:
    try:
        cast(value, type_)
    except Uncastable as misfit:
        message = f"the default is no {types.text(type_)}: {misfit}"
        report.add(Code.ILLEGAL_DEFAULT, place, message, "give a default of the declared type")


def check_type(type_: LiteralType, place: Place, report: Report) -> bool:
    """Complains about a type that holds no values or is not well formed; tells whether it is fine."""
    match type_.WhichOneof("type"):
        case "simple":
            problem = "" if type_.simple in types.SIMPLE_NAMES else "the simple type is not set, or not known"
        case "enum_type":
            problem = _listing(type_.enum_type.members, "member", "an enum")
        case "union_type":
            variants = type_.union_type.variants
            problem = _listing([variant.tag for variant in variants], "tag", "a union")
            inner = [(f"union_type.variants[{v.tag}].type", v.type) for v in variants]
            return _passed(problem, place, report) & _all_fine(inner, place, report)
        case "record_type":
            return _check_record(type_.record_type.fields, place, report)
        case "collection_type":
            return check_type(type_.collection_type, place.at("collection_type"), report)
        case "map_type":
            return check_type(type_.map_type, place.at("map_type"), report)
        case "blob_type":
            unset = type_.blob_type.dimensionality == BlobDimensionality.BLOB_DIMENSIONALITY_UNSPECIFIED
            problem = "it is not said whether this is a file or a directory" if unset else ""
        case "dataset_type":
            columns = type_.dataset_type.columns
            problem = _listing([column.name for column in columns], "column", "a dataset") if columns else ""
            inner = [(f"dataset_type.columns[{c.name}].type", c.type) for c in columns]
            return _passed(problem, place, report) & _all_fine(inner, place, report)
        case "binary_type":
            problem = ""
        case _:
            problem = "the type is not set"
    return _passed(problem, place, report)


def _listing(names: Sequence[str], what: str, whose: str) -> str:
    if not names:
        return f"{whose} needs at least one {what}"
    if not all(names):
        return f"a {what} of {whose} is empty"
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    return f"the {what} {shown(twice[0])} is there twice" if twice else ""


def _passed(problem: str, place: Place, report: Report) -> bool:
    if problem:
        report.add(Code.ILLEGAL_TYPE, place, problem)
    return not problem


def _all_fine(inner: Iterable[tuple[str, LiteralType]], place: Place, report: Report) -> bool:
    fine = [check_type(type_, place.at(part), report) for part, type_ in inner]
    return all(fine)


def _check_record(fields: Sequence[RecordField], place: Place, report: Report) -> bool:
    names = [field.name for field in fields]
    # A record without fields is fine: a dataclass may have none.
    fine = _passed(_listing(names, "field", "a record") if names else "", place, report)
    for field in fields:
        here = place.at(f"record_type.fields[{field.name}]")
        if not check_type(field.type, here.at("type"), report):
            fine = False
        elif field.HasField("default_value"):
            _check_default(field.default_value, field.type, here.at("default_value"), report)
    return fine
