"""The filter language: text to filter tree, with every complaint telling its column and how to mend it.

It is a subset of AIP-160, so that what is accepted here means the same there:

    filter     = [ expression ]
    expression = factor { "AND" factor } | factor { "OR" factor }
    factor     = [ "NOT" | "-" ] ( "(" expression ")" | condition )
    condition  = field operator value
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
    field      = name { "." ( name | string ) }
    value      = word | string

A name is letters, digits, `_` and `-`; a word also has `. : / + @ * ~ %`. Everything else is quoted with
`"` or `'`, with a backslash before a quote or a backslash inside. Keywords are upper case. AND and OR side
by side need parentheses, since readers disagree on which binds first; two conditions need a word between
them. There are no functions and no free text.

What a field may be compared with depends on its type: see `Text`, `Time`, `Choice`, `Words` and `Labels`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.descriptor import EnumDescriptor

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.domain.filters import And, Condition, Filter, Not, Operator, Or, Order

LONGEST = 4096
DEEPEST = 32
MOST_CONDITIONS = 100

_EQUALITY = (Operator.EQUAL, Operator.NOT_EQUAL)
_COMPARISON = (
    *_EQUALITY,
    Operator.LESS,
    Operator.LESS_OR_EQUAL,
    Operator.GREATER,
    Operator.GREATER_OR_EQUAL,
)


@dataclass(frozen=True, slots=True)
class Text:
    """Text: `=`, `!=`, and `:` for "contains"."""


@dataclass(frozen=True, slots=True)
class Time:
    """A point in time, as RFC 3339 with a zone; compared with everything but `:`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some names, in any case, with or without the prefix: `=` and `!=`."""

    names: Mapping[str, int]
    prefix: str = ""


def choice_of(enum: EnumDescriptor) -> Choice:
    """The names of an enum of the IDL, which begin with the enum's own; "unspecified" is never stored."""
    zero = enum.values_by_number[0].name
    prefix = zero.removesuffix("UNSPECIFIED")
    return Choice(
        {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}, prefix
    )


@dataclass(frozen=True, slots=True)
class Words:
    """A set of words: `:x` has x, `:*` has any."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Texts by key, `field.KEY`: `=`, `!=`, `:x` equals x, `:*` is there."""


FieldType = Text | Time | Choice | Words | Labels
Fields = Mapping[str, FieldType]


class BadFilter(Invalid):
    """A filter cannot be read. Metadata: `column`, from 1."""

    def __init__(self, column: int, message: str, hint: str) -> None:
        text = f"column {column}: {message}"
        super().__init__(
            f"the filter cannot be read: {text}; {hint}",
            [Violation("filter", text, "BAD_FILTER", hint=hint)],
            {"column": str(column)},
        )
        self.column = column


def parse(text: str, fields: Fields) -> Filter | None:
    """Reads a filter.

    Args:
        text: in the language above; blank means all.
        fields: what may be compared, by name.

    Returns:
        The tree, or None for all.

    Raises:
        BadFilter: at the first thing that cannot be read.
    """
    if len(text) > LONGEST:
        raise BadFilter(LONGEST + 1, f"a filter has at most {LONGEST} characters", "ask for less at a time")
    reader = _Reader(text, fields)
    reader.skip_blanks()
    if reader.at_end():
        return None
    tree = reader.expression(0)
    if not reader.at_end():
        raise reader.unexpected("the end")
    return tree


def parse_order(text: str, fields: tuple[str, ...]) -> Order | None:
    """Reads an order: a field, and `desc` or `asc`.

    Args:
        text: blank means the list's default order.
        fields: what may be ordered by.

    Returns:
        The order, or None for the default.

    Raises:
        Invalid: when it is not one of the list's orders.
    """
    match text.split():
        case []:
            return None
        case [field] | [field, "asc"] if field in fields:
            return Order(field)
        case [field, "desc"] if field in fields:
            return Order(field, descending=True)
    hint = f"one of {', '.join(fields)}, alone or followed by desc"
    message = f"{text!r} is not an order of this list"
    raise Invalid(message, [Violation("order_by", message, "BAD_ORDER", hint=hint)])


_BLANKS = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[^\W\d][\w-]*")
_KEY = re.compile(r"[\w-]+")
_OPERATOR = re.compile(r"!=|<=|>=|=|<|>|:")
_WORD = re.compile(r"[\w.:/+@*~%-]+")
_KEYWORD = re.compile(r"(AND|OR|NOT)(?![\w-])")


class _Reader:
    """A recursive descent over the text; `position` always stands on what comes next, blanks skipped."""

    def __init__(self, text: str, fields: Fields) -> None:
        self._text = text
        self._fields = fields
        self._position = 0
        self._conditions = 0

    def at_end(self) -> bool:
        return self._position >= len(self._text)

    def skip_blanks(self) -> None:
        match = _BLANKS.match(self._text, self._position)
        assert match is not None  # it matches nothing, too
        self._position = match.end()

    def error(self, message: str, hint: str, position: int | None = None) -> BadFilter:
        return BadFilter((self._position if position is None else position) + 1, message, hint)

    def unexpected(self, wanted: str) -> BadFilter:
        if self.at_end():
            return self.error(f"expected {wanted}, but the filter ends", "finish or remove the last part")
        rest = self._text[self._position : self._position + 12]
        found = (rest.split() or [rest])[0]  # blanks of other alphabets are signs here
        hint = "join conditions with AND or OR, and quote values with signs other than letters and digits"
        return self.error(f"expected {wanted}, not {found!r}", hint)

    def expression(self, depth: int) -> Filter:
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} levels of parentheses", "write it flatter")
        terms = [self.factor(depth)]
        joint = self._keyword("AND") or self._keyword("OR")
        if not joint:
            return terms[0]
        terms.append(self.factor(depth))
        while word := self._peek_keyword():
            if word == "NOT":
                break
            if word != joint:
                raise self.error("AND and OR side by side", "say with parentheses which goes first")
            self._keyword(word)
            terms.append(self.factor(depth))
        return And(tuple(terms)) if joint == "AND" else Or(tuple(terms))

    def factor(self, depth: int) -> Filter:
        if self._keyword("NOT") or self._sign("-"):
            return Not(self._positive(depth))
        return self._positive(depth)

    def _positive(self, depth: int) -> Filter:
        if not self._sign("("):
            return self._condition()
        inner = self.expression(depth + 1)
        if not self._sign(")"):
            raise self.unexpected("`)`")
        return inner

    def _condition(self) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise self.error(f"more than {MOST_CONDITIONS} conditions", "ask for less at a time")
        field, kind = self._field()
        place = self._position
        operator = self._match(_OPERATOR)
        if operator is None:
            raise self.unexpected("an operator (= != < <= > >= :)")
        value_place = self._position
        value = self._value()
        return self._typed(field, kind, Operator(operator), value, place, value_place)

    def _field(self) -> tuple[str, FieldType]:
        place = self._position
        if (word := self._peek_keyword()) is not None:
            raise self.error(f"expected a field, not the keyword {word}", "write a condition, such as a = b")
        match = _NAME.match(self._text, place)
        if match is None:
            raise self.unexpected("a field")
        name, self._position = match.group(), match.end()
        parts = []
        while not self.at_end() and self._text[self._position] == ".":
            self._position += 1
            key = self._quoted()
            if key is None:
                match = _KEY.match(self._text, self._position)
                if match is None:
                    raise self.unexpected("a key after the dot")
                key, self._position = match.group(), match.end()
            parts.append(key)
        self.skip_blanks()
        if isinstance(kind := self._fields.get(name), Labels):
            if not parts or not all(parts):
                raise self.error(f"{name} needs a key", f"write {name}.KEY", place)
            return f"{name}.{'.'.join(parts)}", kind
        whole = ".".join([name, *parts])
        found = self._fields.get(whole)
        if found is None or isinstance(found, Labels):
            known = ", ".join(f"{n}.KEY" if isinstance(k, Labels) else n for n, k in self._fields.items())
            raise self.error(f"there is no field {whole!r}", f"the fields of this list are {known}", place)
        return whole, found

    def _value(self) -> str:
        quoted = self._quoted()
        if quoted is not None:
            self.skip_blanks()
            return quoted
        word = self._match(_WORD)
        if word is None:
            raise self.unexpected("a value")
        return word

    def _typed(
        self, field: str, kind: FieldType, operator: Operator, value: str, place: int, value_place: int
    ) -> Condition:
        allowed: tuple[Operator, ...]
        typed: str | int = value
        match kind:
            case Time():
                allowed, typed = _COMPARISON, self._time(value, value_place)
            case Choice():
                allowed, typed = _EQUALITY, self._choice(kind, field, value, value_place)
            case Words():
                allowed = (Operator.HAS,)
            case Labels():
                allowed = (*_EQUALITY, Operator.HAS)
                if operator is Operator.HAS and value != "*":
                    operator = Operator.EQUAL
            case Text():
                allowed = (*_EQUALITY, Operator.HAS)
        if operator not in allowed:
            hint = f"use one of {' '.join(allowed)}"
            raise self.error(f"{field} cannot be compared with {operator}", hint, place)
        return Condition(field, operator, typed)

    def _time(self, value: str, place: int) -> int:
        hint = "write it like 2026-11-23T08:00:00Z"
        try:
            time = datetime.fromisoformat(value)
        except ValueError as error:
            raise self.error(f"{value!r} is not a time", hint, place) from error
        if time.tzinfo is None:
            raise self.error(f"{value!r} does not say its time zone", hint, place)
        try:
            span = time - datetime(1970, 1, 1, tzinfo=UTC)
        except OverflowError as error:
            raise self.error(f"{value!r} is out of range", hint, place) from error
        return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds

    def _choice(self, kind: Choice, field: str, value: str, place: int) -> int:
        name = value.upper().removeprefix(kind.prefix)
        number = kind.names.get(name)
        if number is None:
            raise self.error(f"{field} is never {value!r}", f"it is one of {', '.join(kind.names)}", place)
        return number

    def _quoted(self) -> str | None:
        """Reads a quoted text; blanks after it are left, since a dot may follow."""
        if self.at_end() or (quote := self._text[self._position]) not in "\"'":
            return None
        start, at = self._position, self._position + 1
        content: list[str] = []
        while at < len(self._text):
            sign = self._text[at]
            if sign == quote:
                self._position = at + 1
                return "".join(content)
            if sign == "\\" and at + 1 < len(self._text) and self._text[at + 1] in "\"'\\":
                at += 1
                sign = self._text[at]
            content.append(sign)
            at += 1
        raise self.error("the quote is never closed", f"add {quote} after the value", start)

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._position)
        if match is None:
            return None
        self._position = match.end()
        self.skip_blanks()
        return match.group()

    def _sign(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._position):
            return False
        self._position += len(sign)
        self.skip_blanks()
        return True

    def _peek_keyword(self) -> str | None:
        match = _KEYWORD.match(self._text, self._position)
        return match.group() if match else None

    def _keyword(self, word: str) -> str:
        if self._peek_keyword() != word:
            return ""
        self._position += len(word)
        self.skip_blanks()
        return word
