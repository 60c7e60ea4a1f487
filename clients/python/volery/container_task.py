"""This module declares tasks that are programs in images, in any language.

    train = ContainerTask(
        "train", "registry.example.com/train:1",
        command=["/train"], arguments=["--depth", "{{.inputs.depth}}", "--out", "{{.outputs.model}}"],
        inputs={"depth": int}, outputs={"model": File},
    )

The program finds its inputs as files in a directory, and leaves its outputs as files in another; how values
are written there is the container contract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Unpack, cast

from volery import _options
from volery._declared import checked_name, interface_of_names, module_of_caller
from volery._places import caller
from volery.errors import ConfigurationError
from volery.task import Task

if TYPE_CHECKING:
    from volery._options import TaskKeywords


class ContainerTask(Task[..., Any]):
    """A program in an image, used like any task. It runs as a pod, so it takes a worker that makes pods.

    Attributes:
        image: the image's reference.
        command: the program; empty uses the image's own.
        arguments: what it is given.
        input_data_dir: where the files of its inputs are put; empty means the contract's default.
        output_data_dir: where it leaves the files of its outputs; empty means the contract's default.
        working_dir: empty uses the image's own.
    """

    def __init__(
        self,
        name: str,
        image: str,
        command: Sequence[str] = (),
        *,
        arguments: Sequence[str] = (),
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        input_data_dir: str = "",
        output_data_dir: str = "",
        working_dir: str = "",
        **options: Unpack[TaskKeywords],
    ) -> None:
        """Declares the task.

        Args:
            name: its name in its module.
            image: the image's reference.
            command: the program; empty uses the image's own. Command and arguments may hold placeholders:
                `{{.inputs.x}}`, `{{.outputs.y}}`, `{{.input_dir}}`, `{{.output_dir}}`.
            arguments: what the program is given.
            inputs: types by name.
            outputs: types by name.
            input_data_dir: where the files of inputs are put.
            output_data_dir: where the program leaves the files of outputs.
            working_dir: where the program is started.
            **options: what `@task` takes, but for `container_image`.
        """
        label = f"ContainerTask {checked_name('ContainerTask', name)}"
        if not isinstance(image, str) or not image:
            raise _options.refused(f"{label}: image={image!r}", "write registry.example.com/name:tag")
        for what, texts in (("command", command), ("arguments", arguments)):
            if isinstance(texts, str) or not all(isinstance(each, str) for each in texts):
                raise _options.refused(f"{label}: {what}={texts!r}", 'write a list of texts: ["sh", "-c", …]')
        if options.get("container_image"):
            raise _options.refused(f"{label}: container_image= is given", "the second argument is the image")
        self._given_name = name
        self._module = module_of_caller()
        self._place = caller()
        self.image = image
        self.command = tuple(command)
        self.arguments = tuple(arguments)
        self.input_data_dir = _options.text("input_data_dir", input_data_dir)
        self.output_data_dir = _options.text("output_data_dir", output_data_dir)
        self.working_dir = _options.text("working_dir", working_dir)
        self.interface = interface_of_names(label, inputs or {}, outputs or {})
        self.options = _options.task_options(options)
        self.overrides = _options.Overrides()
        self._check_cache(self.options.cache)
        self.function = cast(Any, self._refuse)  # one object for life, by which copies know each other
        self.__doc__ = None
        self.__module__ = self._module

    @property
    def module(self) -> str:
        """The module it is declared in."""
        return self._module

    @property
    def qualname(self) -> str:
        """Its name in the module."""
        return self._given_name

    @property
    def label(self) -> str:
        """Its short name, as it stands in messages."""
        return self._given_name

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ConfigurationError(
            f"container task {self._given_name} runs its program in a pod, and not in this process; "
            "register it and run it on a cluster"
        )

    def __repr__(self) -> str:
        return f"<container task {self.name}>"
