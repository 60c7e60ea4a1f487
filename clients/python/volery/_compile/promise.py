"""This module holds what a call answers while a workflow is being declared: a promise of the value.

A promise can be passed on, its fields, elements and keys can be picked, and it can be ordered before
others with `>>`. Everything else needs the value, which does not exist yet: such a use is refused with
the user's line and what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from volery._compile.trace import NodeDraft, Trace
from volery._literals import types
from volery._literals.types import LiteralType
from volery._places import caller
from volery.errors import PromiseError

Step = str | int | tuple[str]
"""One level into a value: an attribute's name, an index, or a key in a tuple of one."""


class Promise:
    """A value that will be there when the workflow runs."""

    __slots__ = ("_volery_name", "_volery_node", "_volery_path", "_volery_trace", "_volery_type")

    _volery_trace: Trace
    _volery_node: NodeDraft | None
    _volery_name: str
    _volery_type: LiteralType
    _volery_path: tuple[Step, ...]

    def __init__(
        self,
        trace: Trace,
        node: NodeDraft | None,
        name: str,
        literal_type: LiteralType,
        path: tuple[Step, ...] = (),
    ) -> None:
        put = object.__setattr__
        put(self, "_volery_trace", trace)
        put(self, "_volery_node", node)
        put(self, "_volery_name", name)
        put(self, "_volery_type", literal_type)
        put(self, "_volery_path", path)

    # What can be done with a promise.

    def __getattr__(self, name: str) -> Promise:
        if name.startswith(("__", "_volery_")):
            # Python and tools ask for such names to learn what an object can do.
            raise AttributeError(name)
        declared = self._volery_type
        if isinstance(declared, types.Record):
            wanted = declared.field(name)
            if wanted is None:
                known = ", ".join(each.name for each in declared.fields)
                raise _refused(f"{declared} has no field {name}", f"it has: {known}")
            return self._part(wanted.type, name)
        hint = f"write a task that takes the {declared} and returns what you need"
        if isinstance(declared, types.Union):
            hint = "which variant it is, is known only when it runs: pick the part in a task"
        raise _refused(f".{name} of {say(self)}, a promise of {declared}", hint)

    def __getitem__(self, key: object) -> Promise:
        declared = self._volery_type
        if isinstance(declared, types.Collection):
            if isinstance(key, int) and not isinstance(key, bool):
                return self._part(declared.element, key)
            raise _refused(
                f"[{_spelled(key)}] of {say(self)}, a promise of {declared}",
                "pick one element by its number; more than that is done in a task",
            )
        if isinstance(declared, types.Mapping):
            if isinstance(key, str):
                return self._part(declared.value, (key,))
            raise _refused(f"[{_spelled(key)}] of {say(self)}, a promise of {declared}", "its keys are text")
        if declared == types.STRUCT and isinstance(key, str):
            return self._part(types.STRUCT, (key,))
        raise _refused(
            f"[{_spelled(key)}] of {say(self)}, a promise of {declared}",
            f"write a task that takes the {declared} and returns the part you need",
        )

    def __rshift__(self, later: Any) -> Any:
        return in_order(self, later)

    def __lshift__(self, earlier: Any) -> Any:
        in_order(earlier, self)
        return earlier

    def __rrshift__(self, earlier: Any) -> Any:
        return in_order(earlier, self)

    def __rlshift__(self, later: Any) -> Any:
        in_order(self, later)
        return self

    def with_overrides(self, **options: Any) -> Promise:
        """Changes what the task says of itself, for this one node, such as retries or resources."""
        _node_of(self, "with_overrides").change(options)
        return self

    def __copy__(self) -> Promise:
        return self

    def __deepcopy__(self, memo: object) -> Promise:
        return self

    def __repr__(self) -> str:
        return f"<promise of {self._volery_type}: {say(self)}>"

    def _part(self, literal_type: LiteralType, step: Step) -> Promise:
        return Promise(
            self._volery_trace,
            self._volery_node,
            self._volery_name,
            literal_type,
            (*self._volery_path, step),
        )

    # What cannot: each says what to write instead.

    def __bool__(self) -> NoReturn:
        raise _refused(
            f"{say(self)} is used as a condition (if, while, and, or, not)",
            "its value is not known while the workflow is declared: decide in a task, "
            "and let that task return the result",
        )

    def __iter__(self) -> NoReturn:
        hint = "unpack it in a task"
        if isinstance(self._volery_type, types.Collection):
            hint = "how many elements there will be is not known yet: write map_task(fn)(argument=promise)"
        raise _refused(f"{say(self)} is iterated over (for, unpacking, list(…))", hint)

    def __len__(self) -> NoReturn:
        raise _refused(f"len({say(self)})", "its length is not known yet: write a task that returns len(…)")

    def __contains__(self, item: object) -> NoReturn:
        raise _refused(f"… in {say(self)}", "ask in a task that returns bool")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _refused(f"{say(self)} is called", "it is a value, not a function: call it in a task")

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise _refused(f".{name} of {say(self)} is assigned to", "return a changed value from a task")

    def __setitem__(self, key: object, value: Any) -> NoReturn:
        raise _refused(
            f"[{_spelled(key)}] of {say(self)} is assigned to", "return a changed value from a task"
        )

    def __delitem__(self, key: object) -> NoReturn:
        raise _refused(f"[{_spelled(key)}] of {say(self)} is deleted", "return a changed value from a task")

    def __format__(self, spec: str) -> NoReturn:
        raise _refused(
            f"{say(self)} is put into a text", "its value is not known yet: build the text in a task"
        )

    def __str__(self) -> str:
        raise _refused(
            f"{say(self)} is put into a text", "its value is not known yet: build the text in a task"
        )

    def __await__(self) -> NoReturn:
        raise _refused(f"{say(self)} is awaited", "nothing runs yet: pass the promise on as it is")

    def __enter__(self) -> NoReturn:
        raise _refused(f"{say(self)} is used in a with statement", "open it in a task")

    def __exit__(self, *_: object) -> None:
        """Never reached; here so that `with` asks `__enter__`."""


def _refuse_operator(symbol: str) -> Any:
    def refuse(self: Promise, *_: object) -> NoReturn:
        raise _refused(
            f"{say(self)} is used with {symbol}",
            "its value is not known while the workflow is declared: compute it in a task",
        )

    return refuse


_ARITHMETIC = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "matmul": "@",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "divmod": "divmod",
    "pow": "**",
    "and": "&",
    "or": "|",
    "xor": "^",
}
for _name, _symbol in _ARITHMETIC.items():
    setattr(Promise, f"__{_name}__", _refuse_operator(_symbol))
    setattr(Promise, f"__r{_name}__", _refuse_operator(_symbol))
for _name, _symbol in {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
    setattr(Promise, f"__{_name}__", _refuse_operator(_symbol))
for _name, _symbol in {
    "neg": "-",
    "pos": "+",
    "invert": "~",
    "abs": "abs(…)",
    "round": "round(…)",
    "int": "int(…)",
    "float": "float(…)",
    "complex": "complex(…)",
    "index": "an index or range(…)",
    "bytes": "bytes(…)",
    "fspath": "open(…) or a path",
    "reversed": "reversed(…)",
}.items():
    setattr(Promise, f"__{_name}__", _refuse_operator(_symbol))
# Comparison is refused, but promises can still be kept in sets and as keys.
Promise.__hash__ = object.__hash__  # type: ignore[method-assign]  # setting __eq__ late leaves it alone


class NodeOutputs(tuple[Promise, ...]):
    """The promises of a node that gives no output, or several.

    It unpacks like the tuple that the task returns; named outputs are attributes too.
    """

    _node: NodeDraft
    _names: Mapping[str, int]

    def __new__(cls, node: NodeDraft, promises: Sequence[Promise]) -> NodeOutputs:
        """Holds the promises of a node."""
        self = super().__new__(cls, promises)
        self._node = node
        self._names = {promise._volery_name: at for at, promise in enumerate(promises)}
        return self

    def __getattr__(self, name: str) -> Promise:
        if name.startswith("_"):
            raise AttributeError(name)
        at = self._names.get(name)
        if at is None:
            known = f"it has: {', '.join(self._names)}" if self._names else "it returns nothing"
            raise _refused(f"{self._node.label} has no output {name}", known)
        return self[at]

    def __bool__(self) -> NoReturn:
        raise _refused(
            f"what {self._node.label} returns is used as a condition",
            "it is not known while the workflow is declared: decide in a task",
        )

    def __rshift__(self, later: Any) -> Any:
        return in_order(self, later)

    def __lshift__(self, earlier: Any) -> Any:
        in_order(earlier, self)
        return earlier

    def __rrshift__(self, earlier: Any) -> Any:
        return in_order(earlier, self)

    def __rlshift__(self, later: Any) -> Any:
        in_order(self, later)
        return self

    def with_overrides(self, **options: Any) -> NodeOutputs:
        """Changes what the task says of itself, for this one node, such as retries or resources."""
        self._node.change(options)
        return self

    def __repr__(self) -> str:
        return f"<promises of {self._node.label}: {', '.join(self._names) or 'no outputs'}>"


def in_order(earlier: Any, later: Any) -> Any:
    """Makes one step start after another succeeded; each may be a list of steps. Answers the later one."""
    for after in _nodes(later):
        for before in _nodes(earlier):
            if before.trace is not after.trace:
                raise _refused(
                    f"{before.label} and {after.label} belong to different workflows",
                    "order the calls inside one workflow",
                )
            after.follow(before)
    return later


def _nodes(step: Any) -> Iterable[NodeDraft]:
    if isinstance(step, list) or (isinstance(step, tuple) and not isinstance(step, NodeOutputs)):
        return [node for each in step for node in _nodes(each)]
    return [_node_of(step, ">>")]


def _node_of(step: Any, what: str) -> NodeDraft:
    if isinstance(step, NodeOutputs):
        return step._node
    if isinstance(step, Promise):
        if step._volery_node is None:
            raise _refused(f"{what} on {say(step)}", "it is there from the start: only steps have an order")
        return step._volery_node
    raise _refused(f"{what} on {step!r}", "order what calls of tasks answer: first = a(); first >> b()")


def say(promise: Promise) -> str:
    """A promise as people know it: where its value will come from."""
    path = "".join(_step(step) for step in promise._volery_path)
    node = promise._volery_node
    if node is None:
        return f"input {promise._volery_name}{path}"
    return f"output {promise._volery_name}{path} of {node.label}"


def _step(step: Step) -> str:
    if isinstance(step, str):
        return f".{step}"
    return f"[{step[0]!r}]" if isinstance(step, tuple) else f"[{step}]"


def _spelled(key: object) -> str:
    if isinstance(key, slice):
        return ":".join("" if part is None else repr(part) for part in (key.start, key.stop))
    return "…" if isinstance(key, Promise) else repr(key)


def _refused(problem: str, hint: str) -> PromiseError:
    place = caller()
    return PromiseError(problem, file=place.file, line=place.line, hint=hint)
