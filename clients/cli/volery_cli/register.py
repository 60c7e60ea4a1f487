"""Register: registers what files or modules define, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, output_option, place_options

if TYPE_CHECKING:
    from volery._compile.translate import Entity
    from volery.register import Registration


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE.py[:NAME]...")
@click.option("--version", default="", metavar="TEXT", help="Version of everything. [default: a hash]")
@click.option("--activate", is_flag=True, help="Make the launch plans active.")
@click.option("--dry-run", is_flag=True, help="Compile and compare only; store nothing.")
@click.option(
    "--include", multiple=True, metavar="PATTERN", help="Pack these files too, e.g. 'queries/*.sql'."
)
@click.option("--all-files", is_flag=True, help="Pack everything below the import root.")
@place_options
@output_option
def register(
    targets: Sequence[str],
    version: str,
    activate: bool,
    dry_run: bool,
    include: Sequence[str],
    all_files: bool,
    place: Place,
    output: str,
) -> int:
    """Register tasks, workflows and launch plans, with all that they reach.

    Without a NAME, everything that the file defines. Either all of it is registered or nothing; the same
    content again changes nothing.
    """
    entities = gather(targets)
    with place.connected(create=True) as remote:
        done = remote.register(
            *entities,
            version=version,
            activate=activate,
            dry_run=dry_run,
            include=include,
            everything=all_files,
        )
    if output != "text":
        from volery_cli.output import show

        show(done, output)
        return Exit.OK
    _tell(done, dry_run)
    return Exit.OK


def gather(targets: Sequence[str]) -> list[Entity]:
    """The entities that files, modules or parts of them define."""
    from volery.register import entities_of, entity_named

    from volery_cli.run import load, split_target

    entities: list[Entity] = []
    for target in targets:
        place, name = split_target(target)
        module = load(place)
        found = [entity_named(module, name)] if name else list(entities_of(module).values())
        if not found:
            raise click.UsageError(f"{place} defines no task, workflow or launch plan")
        entities += [each for each in found if each not in entities]
    return entities


def _tell(done: Registration, dry_run: bool) -> None:
    from volery_cli.output import table

    new = "would be created" if dry_run else "created"
    rows = [
        (each.kind.lower().replace("_", " "), each.name, new if each.created else "unchanged")
        for each in done.entities
    ]
    table(("kind", "name", "outcome"), rows, empty="nothing to register")
    files = len(done.bundle_files)
    packed = (
        f", {files} file{'s' if files != 1 else ''} packed ({done.bundle_size / 1024:.1f} KiB)"
        if files
        else ""
    )
    click.echo(f"\nversion {done.version}{packed}", err=True)
