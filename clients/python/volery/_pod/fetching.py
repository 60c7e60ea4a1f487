"""This module lays the inputs of a container task before its program starts: an init container's step."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from volery._pod import process
from volery._pod.contract import ContractBroken, Files, Identity, Reader, conceal
from volery._pod.delivery import deliver, failed
from volery._pod.running import InputsUnavailable, read_inputs, refuse
from volery._pod.verdicts import Verdict
from volery._process.attempt import Terminated


def fetch() -> NoReturn:
    """Lays the inputs, and leaves the process. It may do so twice: a pod that begins anew begins here."""
    start = process.now()
    ending = process.Ending()
    reader = Reader(os.environ)
    identity = reader.identity()
    files = reader.files(with_inputs=True)
    try:
        reader.check()
    except ContractBroken as error:
        process.leave(refuse(identity, error, start))
    conceal(os.environ)
    try:
        with ending.interruptible():
            problem = _fetch(identity, files)
    except Terminated:
        process.leave(process.TERMINATED)
    if not problem:
        process.leave(process.SUCCEEDED)
    process.complain(problem)
    failure = failed("InputsUnavailable", problem)
    verdict = Verdict(identity.uid, identity.path, identity.attempt, start, 0, process.now(), None, failure)
    process.leave(process.FAILED if deliver(identity, verdict, None) else process.UNTOLD)


def _fetch(identity: Identity, files: Files) -> str:
    """Lays the inputs; answers why that could not be done."""
    from volery._literals import MalformedLiteral, decode_map
    from volery._pod.input_files import InputFiles, NotLaid
    from volery._pod.interfaces import read_interface
    from volery.errors import StorageError

    assert files.inputs is not None  # asked for
    directory = Path(files.input_dir)
    try:
        os.umask(0o022)  # whoever the program runs as, it may read them
        place = process.Place()
        context = process.context_of(identity, place, files.inline_limit)
        _empty(directory)
        scratch = directory / ".fetching"
        workspace = process.workspace_of(context, str(scratch))
        content = read_inputs(files.inputs, workspace)
        inputs = decode_map(content)
        for variable in read_interface(files.interface).inputs:
            if variable.default is not None:
                inputs.setdefault(variable.name, variable.default)
        InputFiles(directory, workspace).lay(inputs, content)
        shutil.rmtree(scratch)
    except (InputsUnavailable, NotLaid) as error:
        return str(error)
    except MalformedLiteral as error:
        return f"the inputs cannot be read: {error}"
    except StorageError as error:
        return f"an input could not be fetched: {error}"
    except OSError as error:
        return f"the inputs cannot be laid in {directory}: {error}"
    return ""


def _empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            with suppress(FileNotFoundError):
                entry.unlink()
