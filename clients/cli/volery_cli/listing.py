"""Listing: executions, entities, projects and activations, as tables or for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from volery_cli.exits import Exit
from volery_cli.settings import Count, Place, output_option, place_options

if TYPE_CHECKING:
    from volery.entities import EntityLine

FILTER_HELP = (
    "\b\nFilters: FIELD = VALUE, !=, <, <=, >, >=, FIELD:VALUE, joined by AND, OR, NOT and parentheses.\n"
)


@click.group()
def listing() -> None:
    """List executions, entities or projects."""


def page_options(default: int) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a list its options."""

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        for option in (
            click.option(
                "--order", "order_by", default="", metavar="FIELD [desc]", help="Order, e.g. 'name desc'."
            ),
            click.option("-n", "--limit", type=Count(1), default=default, help="At most this many."),
            click.option("--filter", "filter_", default="", metavar="TEXT", help="Which ones."),
        ):
            function = option(function)
        return function

    return decorate


@listing.command(
    "executions",
    epilog=FILTER_HELP + "Fields: phase, name, target.kind, target.name, target.version, principal,\n"
    "create_time, end_time, tags, labels.KEY\n\n\b\nFor example:\n"
    "  volery list executions --filter 'phase = FAILED AND labels.team = ml'",
)
@page_options(20)
@place_options
@output_option
def executions(filter_: str, limit: int, order_by: str, place: Place, output: str) -> int:
    """List executions, newest first."""
    from volery_cli.output import ago, now, span, table
    from volery_cli.result import document

    with place.connected() as remote:
        found = list(remote.executions(filter=filter_, order_by=order_by, limit=limit))
    if output != "text":
        return _for_programs([document(each) for each in found], output)
    moment = now()
    rows = [
        (
            each.name,
            each.phase.value.lower().replace("_", " "),
            ago(each.create_time, moment),
            span(each.duration),
            each.target.name,
            each.target.version,
        )
        for each in found
    ]
    table(("name", "phase", "created", "took", "target", "version"), rows, empty="there are no executions")
    _tell_more(found, limit)
    return Exit.OK


def _entities_command(command: str, kind: str, what: str) -> None:
    fields = "\b\nFields: name, version, create_time"

    @listing.command(command, epilog=FILTER_HELP + fields, help=f"List {what}; the newest version of each.")
    @click.option("--name", default="", help="All versions of this one.")
    @click.option("--all", "all_versions", is_flag=True, help="All versions of all.")
    @page_options(100)
    @place_options
    @output_option
    def entities(
        name: str, all_versions: bool, filter_: str, limit: int, order_by: str, place: Place, output: str
    ) -> int:
        with place.connected() as remote:
            found = list(
                remote.entities(
                    kind,
                    name=name,
                    newest_only=not (name or all_versions),
                    filter=filter_,
                    order_by=order_by,
                    limit=limit,
                )
            )
        if output != "text":
            return _for_programs(found, output)
        _entity_table(found, kind, what)
        _tell_more(found, limit)
        return Exit.OK


_entities_command("tasks", "task", "tasks")
_entities_command("workflows", "workflow", "workflows")
_entities_command("launch-plans", "launch_plan", "launch plans")


@listing.command("projects", epilog=FILTER_HELP + "Fields: state, labels.KEY, project_id")
@click.option("-n", "--limit", type=Count(1), default=100, help="At most this many.")
@click.option("--filter", "filter_", default="", metavar="TEXT", help="Which ones.")
@place_options
@output_option
def projects(filter_: str, limit: int, place: Place, output: str) -> int:
    """List projects."""
    from volery_cli.output import table

    with place.connected() as remote:
        found = list(remote.projects(filter=filter_, limit=limit))
    if output != "text":
        return _for_programs(found, output)
    rows = [(each.project, each.state.lower(), each.description or each.display_name) for each in found]
    table(("project", "state", "description"), rows, empty="there are no projects")
    return Exit.OK


@listing.command("activations", short_help="List which version was active when.")
@click.argument("name")
@click.option("-n", "--limit", type=Count(1), default=20, help="At most this many.")
@place_options
@output_option
def activations(name: str, limit: int, place: Place, output: str) -> int:
    """List which version of a launch plan was active when, newest first."""
    from volery_cli.output import moment, table

    with place.connected() as remote:
        found = list(remote.activations(name, limit=limit))
    if output != "text":
        return _for_programs(found, output)
    rows = [
        (each.version, moment(each.activate_time), moment(each.deactivate_time) or "active", each.principal)
        for each in found
    ]
    table(("version", "from", "until", "by"), rows, empty=f"{name} was never activated")
    return Exit.OK


def _entity_table(found: Iterable[EntityLine], kind: str, what: str) -> None:
    from volery_cli.output import ago, now, table

    moment = now()
    columns = ["name", "version", "registered"]
    rows = [[each.name, each.version, ago(each.create_time, moment)] for each in found]
    if kind == "launch_plan":
        columns.append("active")
        for row, each in zip(rows, found, strict=True):
            row.append("active" if each.active else "")
    columns.append("summary")
    for row, each in zip(rows, found, strict=True):
        row.append(each.summary)
    table(columns, rows, empty=f"there are no {what}")


def _for_programs(found: Any, output: str) -> int:
    from volery_cli.output import show

    show(found, output)
    return Exit.OK


def _tell_more(found: Sequence[Any], limit: int) -> None:
    if len(found) == limit:
        click.echo(f"the first {limit}; more with --limit", err=True)
