"""What a task host is told when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a task host is told when it starts.

    Attributes:
        identity: the process's number at its worker; in the environment as VOLERY_PROCESS.
        bundle: the folder of the user's code, first on sys.path; empty for none.
        runtime: the module that loads and runs tasks.
        scratch: the working directory; emptied after every attempt.
        spool: where output goes: a path without its ending.
        inline_output: output of at most this many bytes travels with the result.
        output_cap: bytes of output kept of one attempt and stream.
        memory_limit: bytes that a task may allocate; 0 for no limit.
        memory_growth: bytes of resident memory gained after which it asks to be replaced; 0 for never.
    """

    identity: str
    bundle: str
    runtime: str
    scratch: str
    spool: str
    inline_output: int
    output_cap: int
    memory_limit: int
    memory_growth: int

    def to_json(self) -> str:
        """For an argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> HostSettings:
        """What `to_json` gave."""
        return cls(**json.loads(text))
