"""Conditions of branches: operands that can be compared, and only with what they can be compared."""

from __future__ import annotations

from collections.abc import Iterator

from volery_rules import types
from volery_rules.casting import SIMPLE_ARMS, arm_name, castable
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.core.v1.workflow_pb2 import (
    BooleanExpression,
    Comparison,
    ComparisonOperator,
    LogicalOperator,
    Operand,
    Promise,
)

from volery_controlplane.domain.compiler.bindings import Scope, promise_type
from volery_controlplane.domain.compiler.report import Code, Place, Report

_ARM_KINDS = {arm: kind for kind, arm in SIMPLE_ARMS.items()}
_NUMBERS = (SimpleType.SIMPLE_TYPE_INTEGER, SimpleType.SIMPLE_TYPE_FLOAT)
_ORDERED = (
    *_NUMBERS,
    SimpleType.SIMPLE_TYPE_STRING,
    SimpleType.SIMPLE_TYPE_DATETIME,
    SimpleType.SIMPLE_TYPE_DURATION,
)
_EQUATABLE = (*_ORDERED, SimpleType.SIMPLE_TYPE_BOOLEAN, SimpleType.SIMPLE_TYPE_NONE)
_EQUALITIES = (
    ComparisonOperator.COMPARISON_OPERATOR_EQUAL,
    ComparisonOperator.COMPARISON_OPERATOR_NOT_EQUAL,
)
_HINT = "compute the answer in a task that gives a boolean, and test that"


def promises_in(expression: BooleanExpression) -> Iterator[Promise]:
    """The promises a condition reads."""
    match expression.WhichOneof("expression"):
        case "comparison":
            for operand in (expression.comparison.left, expression.comparison.right):
                if operand.HasField("promise"):
                    yield operand.promise
        case "conjunction":
            for inner in expression.conjunction.expressions:
                yield from promises_in(inner)
        case "negation":
            yield from promises_in(expression.negation)
        case "truth":
            if expression.truth.HasField("promise"):
                yield expression.truth.promise


def check_condition(expression: BooleanExpression, scope: Scope, place: Place, report: Report) -> None:
    """Complains about a condition that cannot be evaluated."""
    match expression.WhichOneof("expression"):
        case "comparison":
            _check_comparison(expression.comparison, scope, place.at("comparison"), report)
        case "conjunction":
            joined = expression.conjunction
            here = place.at("conjunction")
            if joined.operator == LogicalOperator.LOGICAL_OPERATOR_UNSPECIFIED:
                report.add(Code.ILLEGAL_CONDITION, here.at("operator"), "the operator is not set")
            if len(joined.expressions) < 2:
                report.add(
                    Code.ILLEGAL_CONDITION, here.at("expressions"), "at least two conditions are joined"
                )
            for index, inner in enumerate(joined.expressions):
                check_condition(inner, scope, here.at(f"expressions[{index}]"), report)
        case "negation":
            check_condition(expression.negation, scope, place.at("negation"), report)
        case "truth":
            type_ = _operand_type(expression.truth, scope, place.at("truth"), report)
            if type_ is not None and not _is_simple(type_, SimpleType.SIMPLE_TYPE_BOOLEAN):
                message = f"{types.text(type_)} is neither true nor false"
                report.add(Code.ILLEGAL_CONDITION, place.at("truth"), message, "compare it with something")
        case _:
            report.add(Code.ILLEGAL_CONDITION, place, "the condition is not set")


def _check_comparison(comparison: Comparison, scope: Scope, place: Place, report: Report) -> None:
    operator = comparison.operator
    if operator == ComparisonOperator.COMPARISON_OPERATOR_UNSPECIFIED:
        report.add(Code.ILLEGAL_CONDITION, place.at("operator"), "the operator is not set")
        return
    left = _operand_type(comparison.left, scope, place.at("left"), report)
    if operator == ComparisonOperator.COMPARISON_OPERATOR_IN:
        _check_membership(left, comparison.right, scope, place, report)
        return
    right = _operand_type(comparison.right, scope, place.at("right"), report)
    if left is None or right is None:
        return
    if operator in _EQUALITIES:
        fine, how = _equatable(left, right), "compared"
    else:
        fine, how = _orderable(left, right), "ordered"
    if not fine:
        message = f"{types.text(left)} and {types.text(right)} cannot be {how}"
        report.add(Code.ILLEGAL_CONDITION, place, message, _HINT)


def _check_membership(
    left: LiteralType | None, right: Operand, scope: Scope, place: Place, report: Report
) -> None:
    here = place.at("right")
    if right.HasField("literal") and right.literal.HasField("collection_value"):
        found = [_literal_type(literal) for literal in right.literal.collection_value.literals]
        elements = [type_ for type_ in found if type_ is not None]
        if len(elements) < len(found):
            report.add(Code.ILLEGAL_CONDITION, here, "the list holds something that cannot be compared")
    else:
        listed = _operand_type(right, scope, here, report)
        if listed is None:
            return
        if listed.WhichOneof("type") != "collection_type":
            message = f"only a list has members; this is {types.text(listed)}"
            report.add(Code.ILLEGAL_CONDITION, here, message)
            return
        elements = [listed.collection_type]
    for type_ in elements:
        if left is not None and not _equatable(left, type_):
            message = f"{types.text(left)} and {types.text(type_)} cannot be compared"
            report.add(Code.ILLEGAL_CONDITION, place, message, _HINT)
            return


def _operand_type(operand: Operand, scope: Scope, place: Place, report: Report) -> LiteralType | None:
    match operand.WhichOneof("operand"):
        case "promise":
            return promise_type(operand.promise, scope, place.at("promise"), report)
        case "literal":
            type_ = _literal_type(operand.literal)
            if type_ is None:
                what = arm_name(operand.literal.WhichOneof("value"))
                report.add(Code.ILLEGAL_CONDITION, place.at("literal"), f"{what} cannot be compared", _HINT)
            return type_
    report.add(Code.ILLEGAL_CONDITION, place, "the operand is not set")
    return None


def _literal_type(literal: Literal) -> LiteralType | None:
    """The type of a constant that can be compared; None for others."""
    kind = _ARM_KINDS.get(literal.WhichOneof("value") or "")
    return LiteralType(simple=kind) if kind in _EQUATABLE else None


def _is_simple(type_: LiteralType, *kinds: int) -> bool:
    return type_.WhichOneof("type") == "simple" and type_.simple in kinds


def _orderable(left: LiteralType, right: LiteralType) -> bool:
    if _is_simple(left, *_NUMBERS) and _is_simple(right, *_NUMBERS):
        return True
    return _is_simple(left, *_ORDERED) and types.equal(left, right)


def _equatable(left: LiteralType, right: LiteralType) -> bool:
    lefts, rights = list(_variants(left)), list(_variants(right))
    if not all(_is_equatable(type_) for type_ in (*lefts, *rights)):
        return False
    # One pair that can be equal makes the question a sensible one.
    return any(castable(a, b).accepted or castable(b, a).accepted for a in lefts for b in rights)


def _is_equatable(type_: LiteralType) -> bool:
    return type_.WhichOneof("type") == "enum_type" or _is_simple(type_, *_EQUATABLE)


def _variants(type_: LiteralType) -> Iterator[LiteralType]:
    if type_.WhichOneof("type") == "union_type":
        for variant in type_.union_type.variants:
            yield from _variants(variant.type)
    else:
        yield type_
