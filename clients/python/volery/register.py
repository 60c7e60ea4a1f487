"""Register: finds a program's entities, packs its source and sends both, in one atomic call.

The default version is a hash of the bundle and of the serialised package together, so the same source and
the same SDK give the same version, and registering again changes nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from volery._bundle import Bundle, Source, pack, source_of_file, source_of_module
from volery._compile.translate import Entity, Package, translate
from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.data import v1 as data
from volery._idl.voleryidl.registry import v1 as registry
from volery.client import new_request_id
from volery.errors import BundleError, DeclarationError
from volery.launch_plan import LaunchPlan
from volery.task import Task
from volery.workflow import Workflow

if TYPE_CHECKING:
    from volery.client import Client

VERSION_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """A package that is ready to be sent.

    Attributes:
        package: the messages.
        version: of every entity in it.
        bundle: the source; None where all of it is installed where tasks run.
    """

    package: Package
    version: str
    bundle: Bundle | None


@dataclass(frozen=True, slots=True)
class Registered:
    """The fate of one entity.

    Attributes:
        kind: `TASK`, `WORKFLOW` or `LAUNCH_PLAN`.
        name: its dotted name.
        version: its version.
        created: whether it is new; else it was there already, with the same content.
        digest: its digest.
    """

    kind: str
    name: str
    version: str
    created: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering did.

    Attributes:
        version: of every entity.
        entities: the fate of each.
        bundle_files: the names of the files packed.
        bundle_size: the size of the bundle in bytes.
    """

    version: str
    entities: tuple[Registered, ...]
    bundle_files: tuple[str, ...] = ()
    bundle_size: int = 0


def prepare(
    entities: Iterable[Entity],
    *,
    project: str,
    domain: str,
    version: str = "",
    include: Sequence[str] = (),
    everything: bool = False,
) -> Prepared:
    """Translate entities and all that they reach, and pack the source of their tasks.

    Raises:
        BundleError: when the source cannot be packed.
        DeclarationError: when something cannot be registered.
    """
    chosen = list(entities)
    names = _names_elsewhere()
    draft = translate(chosen, project=project, domain=domain, version="", module_names=names)
    here = {elsewhere: name for name, elsewhere in names.items()}
    modules = {task.python.module for task in draft.tasks if task.python is not None}
    sources = [
        source
        for name in sorted(modules)
        if (source := source_of_module(sys.modules[here.get(name, name)])) is not None
    ]
    bundle = pack(sources, include=include, everything=everything) if sources else None
    version = version or _version(draft, bundle)
    code = None
    if bundle is not None:
        code = core.CodeBundle(sha256=bundle.sha256, size_bytes=len(bundle), format="zip")
    package = translate(
        chosen, project=project, domain=domain, version=version, bundle=code, module_names=names
    )
    return Prepared(package, version, bundle)


async def send(
    client: Client, prepared: Prepared, *, project: str, domain: str, activate: bool, dry_run: bool
) -> Registration:
    """Upload the bundle where the server lacks it, and register the package."""
    bundle = prepared.bundle
    if bundle is not None and not dry_run:
        known = await client.stat_blob(data.StatBlobRequest(sha256=bundle.sha256))
        if not known.exists:
            await client.upload_blob(bundle.content, project=project, domain=domain)
    answer = await client.register(
        registry.RegisterRequest(
            tasks=prepared.package.tasks,
            workflows=prepared.package.workflows,
            launch_plans=prepared.package.launch_plans,
            activate=activate,
            dry_run=dry_run,
            request_id=new_request_id(),
        )
    )
    return Registration(
        version=prepared.version,
        entities=tuple(_registered(each) for each in answer.entities),
        bundle_files=bundle.files if bundle else (),
        bundle_size=len(bundle) if bundle else 0,
    )


def load_module(place: str) -> ModuleType:
    """Import a module named by its file or by its dotted name, under the name that it has where tasks run.

    Raises:
        BundleError: when it cannot be found.
    """
    if place.endswith(".py") or "/" in place or "\\" in place:
        path = Path(place)
        if not path.is_file():
            raise BundleError(f"there is no file {place}")
        source = source_of_file(path)
        _prefer(source.root)
        loaded = sys.modules.get(source.module)
        if loaded is not None and _lies_at(loaded, source.path):
            return loaded
        return _import_from(source)
    _prefer(Path.cwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as problem:
        if problem.name is not None and (place == problem.name or place.startswith(f"{problem.name}.")):
            raise BundleError(f"there is no module {place}; looked in {Path.cwd()} too") from None
        raise


def entities_of(module: ModuleType) -> dict[str, Entity]:
    """The tasks, workflows and launch plans that a module defines, by the name of the variable.

    What it merely imports is left out; what its own workflows reach is registered with them all the same.
    """
    found: dict[str, Entity] = {}
    for name, value in vars(module).items():
        if isinstance(value, LaunchPlan) or (
            isinstance(value, Task | Workflow) and value.module == module.__name__
        ):
            found[name] = value
    return found


def entity_named(module: ModuleType, name: str) -> Entity:
    """The entity that a variable of a module holds, or that a launch plan's name means.

    Raises:
        DeclarationError: when there is none; the message says what there is.
    """
    value: object = module
    for part in name.split("."):
        value = getattr(value, part, None)
    if isinstance(value, Task | Workflow | LaunchPlan):
        return value
    found = entities_of(module)
    for each in found.values():
        if isinstance(each, LaunchPlan) and each.name == name:
            return each
    listed = ", ".join(sorted(found)) or "none"
    what = "is not a task, workflow or launch plan" if value is not None else "does not exist"
    raise DeclarationError(f"{name} in {module.__name__} {what}", hint=f"there are: {listed}")


def registered_name(entity: Entity) -> str:
    """The name that an entity is registered under; that of a running script is the name of its file."""
    if isinstance(entity, LaunchPlan):
        return entity.name
    elsewhere = _names_elsewhere().get(entity.module)
    return f"{elsewhere}.{entity.name.removeprefix(f'{entity.module}.')}" if elsewhere else entity.name


def _names_elsewhere() -> dict[str, str]:
    """What the running script's module is called where it is imported."""
    main = sys.modules.get("__main__")
    if main is None or not getattr(main, "__file__", None):
        return {}
    try:
        source = source_of_module(main)
    except BundleError:
        return {}  # a script that cannot be imported elsewhere; told when one of its tasks is packed
    return {"__main__": source.module} if source is not None else {}


def _version(package: Package, bundle: Bundle | None) -> str:
    digest = hashlib.sha256((bundle.sha256 if bundle else "").encode())
    for template in [*package.tasks, *package.workflows, *package.launch_plans]:
        content = bytes(template)
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()[:VERSION_LENGTH]


def _registered(message: registry.RegisteredEntity) -> Registered:
    assert message.id is not None
    return Registered(
        kind=message.id.kind.name or "",
        name=message.id.name,
        version=message.id.version,
        created=message.outcome is registry.RegistrationOutcome.CREATED,
        digest=message.digest,
    )


def _prefer(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _lies_at(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).resolve() == path


def _import_from(source: Source) -> ModuleType:
    """Import exactly this file, also where another module of the same name could be found first."""
    spec = importlib.util.find_spec(source.module) if "." in source.module else None
    if spec is not None and spec.origin and Path(spec.origin).resolve() == source.path:
        return importlib.import_module(source.module)
    made = importlib.util.spec_from_file_location(source.module, source.path)
    if made is None or made.loader is None:
        raise BundleError(f"{source.path} cannot be imported")
    module = importlib.util.module_from_spec(made)
    sys.modules[source.module] = module
    try:
        made.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(source.module, None)
        raise
    return module
