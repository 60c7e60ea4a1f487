"""What a worker has said and its stream has not taken yet: in order, but not behind very many logs.

Attempts may write more than the control plane takes. Renewals and reports then overtake what waits of logs,
or the lease would run out behind them; and of logs only so much waits, since a worker's memory has an end.
What is dropped is missing where somebody follows, and for good only of a log too short to be stored whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import structlog
from voleryidl.worker.v1.worker_service_pb2 import WorkRequest

log = structlog.get_logger(__name__)

OVERTAKEN_BYTES = 4 * 1024 * 1024
"""Of logs that wait; behind fewer the order is kept, so that who waits for an end finds the log there."""

WAITING_BYTES = 64 * 1024 * 1024
"""Of logs that may wait."""


class Outgoing:
    """See the module's docstring.

    Args:
        messages: what waits at the beginning.
    """

    def __init__(self, messages: Iterable[WorkRequest] = ()) -> None:
        self._messages: deque[WorkRequest] = deque()
        self._log_bytes = 0
        self._behind = 0  # logs after the last message that is none
        self._drops = False
        for message in messages:
            self.append(message)

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[WorkRequest]:
        return iter(self._messages)

    def append(self, message: WorkRequest) -> None:
        """Adds a message: behind those that were added before, but for logs."""
        if is_log(message):
            self._append_log(message)
        elif self._log_bytes <= OVERTAKEN_BYTES or message.HasField("goodbye"):
            self._messages.append(message)
            self._behind = 0
        else:
            self._messages.insert(len(self._messages) - self._behind, message)

    def popleft(self) -> WorkRequest:
        """Takes the next one."""
        message = self._messages.popleft()
        self._behind = min(self._behind, len(self._messages))
        if is_log(message):
            self._log_bytes -= message.ByteSize()
        return message

    def _append_log(self, message: WorkRequest) -> None:
        size = message.ByteSize()
        is_too_much = self._log_bytes + size > WAITING_BYTES
        if is_too_much and not any(logs.stored for logs in message.log_batch.logs):
            if not self._drops:
                log.warning("more is logged than the control plane takes, and pieces are dropped")
            self._drops = True
            return
        self._drops = is_too_much
        self._messages.append(message)
        self._log_bytes += size
        self._behind += 1


def is_log(message: WorkRequest) -> bool:
    """Whether a message brings logs."""
    return bool(message.HasField("log_batch"))
