"""What the database's threads measure: how long intentions wait, run and commit.

Each thread writes to its own; they are added up when somebody asks.
"""

from __future__ import annotations

from volery_telemetry.measures import SIZES, Distribution


class ThreadMeasures:
    """What one thread of the database did.

    Attributes:
        waited: seconds of each intention from being asked for until a thread took it.
        ran: seconds of a group's statements.
        committed: seconds of a group's commit.
        group: intentions in a commit.
    """

    __slots__ = ("committed", "group", "ran", "waited")

    def __init__(self) -> None:
        self.waited = Distribution()
        self.ran = Distribution()
        self.committed = Distribution()
        self.group = Distribution(SIZES)

    def __add__(self, other: ThreadMeasures) -> ThreadMeasures:
        """Both together, as a new one."""
        made = ThreadMeasures()
        for name in self.__slots__:
            setattr(made, name, getattr(self, name) + getattr(other, name))
        return made
