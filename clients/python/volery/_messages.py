"""Messages: makes the generated messages light where pydantic happens to be installed.

betterproto2 asks before each encoding whether a message is one of pydantic's, which imports most of
pydantic, a third of a second; ours never are. Only our own classes are told so.
"""

from __future__ import annotations

from types import ModuleType

import betterproto2


def _is_not(_: betterproto2.Message) -> bool:
    return False


def lighten(*modules: ModuleType) -> None:
    """Tell the messages of generated modules that they are not pydantic's."""
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, betterproto2.Message):
                kind._is_pydantic = _is_not  # type: ignore[assignment]  # a method of our own classes
