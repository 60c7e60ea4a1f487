"""The names of things: what is allowed, how to mend what is not, and names of living things in full.

Each check gives "" for a good name and otherwise a complaint that reads on after the field's name:
`project_id must be at most 63 characters long`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass

from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier

from volery_controlplane.domain.records import ExecutionName

LABEL_LENGTH = 63
NAME_LENGTH = 255
VERSION_LENGTH = 128

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_EXECUTION = re.compile(r"[a-z][a-z0-9-]*")
_NODE = re.compile(r"[a-z][A-Za-z0-9_-]*")
_ENTITY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]*")
_SPACES = re.compile(r"[\s_.]+")

KIND_NAMES: dict[int, str] = {
    EntityKind.ENTITY_KIND_TASK: "task",
    EntityKind.ENTITY_KIND_WORKFLOW: "workflow",
    EntityKind.ENTITY_KIND_LAUNCH_PLAN: "launch plan",
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """A grammar of names and how it is told to people."""

    pattern: re.Pattern[str]
    length: int
    told: str

    def complaint(self, name: str) -> str:
        """What is wrong with a name, or ""."""
        if not name:
            return "must not be empty"
        if len(name) > self.length:
            return f"must be at most {self.length} characters long, not {len(name)}"
        if not self.pattern.fullmatch(name):
            return f"must be {self.told}; {shown(name)} is not"
        return ""


def shown(name: str) -> str:
    """A name in quotes, cut, as it appears in a message."""
    return repr(name if len(name) <= 80 else name[:79] + "…")


_PROJECT = _Rule(
    _LABEL,
    LABEL_LENGTH,
    "lower-case letters, digits and dashes, and begin and end with a letter or digit",
)
_EXECUTION_RULE = _Rule(
    _EXECUTION, LABEL_LENGTH, "a lower-case letter, then lower-case letters, digits and dashes"
)
_NODE_RULE = _Rule(_NODE, LABEL_LENGTH, "a lower-case letter, then letters, digits, dashes and underscores")
_ENTITY_RULE = _Rule(
    _ENTITY,
    NAME_LENGTH,
    "words of letters, digits, dashes and underscores, none beginning with a digit or dash, joined by dots",
)
_VERSION_RULE = _Rule(
    _VERSION, VERSION_LENGTH, "letters, digits and the characters . _ + : -, and begin with a letter or digit"
)


def check_project_id(name: str) -> str:
    """Complains about a project's id."""
    return _PROJECT.complaint(name)


def check_domain(name: str) -> str:
    """Complains about a domain."""
    return _PROJECT.complaint(name)


def check_execution_name(name: str) -> str:
    """Complains about an execution's name."""
    return _EXECUTION_RULE.complaint(name)


def check_node_id(name: str) -> str:
    """Complains about a node's id."""
    return _NODE_RULE.complaint(name)


def check_entity_name(name: str) -> str:
    """Complains about the name of a task, workflow or launch plan."""
    return _ENTITY_RULE.complaint(name)


def check_version(name: str) -> str:
    """Complains about a version."""
    return _VERSION_RULE.complaint(name)


def check_variable_name(name: str) -> str:
    """Complains about the name of an input or output, which becomes an argument in many languages."""
    if not name:
        return "must not be empty"
    if len(name) > NAME_LENGTH:
        return f"must be at most {NAME_LENGTH} characters long, not {len(name)}"
    if not name.isidentifier():
        return f"must be letters, digits and underscores, and not begin with a digit; {shown(name)} is not"
    return ""


def suggestion(name: str, check: Callable[[str], str]) -> str:
    """A name near to a bad one that the check accepts; "" where none comes to mind."""
    dashed = re.sub(r"[^a-z0-9-]", "", _SPACES.sub("-", name.strip().lower())).strip("-")
    cleaned = re.sub(r"\W", "_", name.strip(), flags=re.ASCII)
    guesses = [dashed, dashed[:LABEL_LENGTH].rstrip("-"), cleaned, cleaned[:1].lower() + cleaned[1:]]
    guesses += [f"n{cleaned}", f"_{cleaned}"]
    for guess in guesses:
        if guess != name and not keyword.iskeyword(guess) and not check(guess):
            return f"{shown(guess)} would do"
    return ""


def entity_text(id: Identifier) -> str:
    """A versioned entity as people read it: `task pipelines.fit@v1 of demo/development`."""
    kind = KIND_NAMES.get(id.kind, "entity")
    return f"{kind} {id.name}@{id.version} of {id.project}/{id.domain}"


def execution_resource(id: ExecutionName) -> str:
    """The name of an execution in full: `projects/p/domains/d/executions/e`."""
    return f"projects/{id.project}/domains/{id.domain}/executions/{id.name}"


def node_resource(id: ExecutionName, path: str) -> str:
    """The name of a node execution in full; the path goes to the end."""
    return f"{execution_resource(id)}/nodes/{path}"


def parse_execution_resource(name: str) -> ExecutionName | None:
    """The execution of a name in full; None when it is no such name."""
    parts = name.split("/")
    if len(parts) != 6 or parts[0::2] != ["projects", "domains", "executions"]:
        return None
    project, domain, execution = parts[1::2]
    if check_project_id(project) or check_domain(domain) or check_execution_name(execution):
        return None
    return ExecutionName(project, domain, execution)


def entity_resource(id: Identifier) -> str:
    """The name of one version of an entity in full: `projects/p/domains/d/tasks/n/versions/v`."""
    plural = KIND_NAMES.get(id.kind, "entity").replace(" ", "_") + "s"
    return f"projects/{id.project}/domains/{id.domain}/{plural}/{id.name}/versions/{id.version}"
