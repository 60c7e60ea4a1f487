"""Sessions of workers: what one control plane knows of a worker while its stream is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from volery_controlplane.services.assignments import Claim, claim_for
from volery_controlplane.services.ports import Transaction


@dataclass(slots=True)
class WorkerSession:
    """A worker's session, as one control plane sees it while the stream is open.

    `capacity` is how many more executions it takes; none once it is `draining`. `attempts` is how many
    attempts it has places for, `claiming` how many it may be given by the claims under way, `placing` how
    many executions are being created for it. `inbox_sent` has
    what the worker knows it holds, with how far each inbox was pushed down, so that nothing is pushed
    twice or before the execution itself; `inbox_waits` says that something was not pushed for that reason.
    Only the event loop writes here.
    """

    session_id: str
    worker_id: str
    pools: Sequence[str]
    secret: bytes = field(repr=False)  # the installation's
    capacity: int = 0
    attempts: int = 0
    claiming: int = 0
    placing: int = 0
    draining: bool = False
    is_over: bool = False  # its stream has ended
    inbox_sent: dict[int, int] = field(default_factory=dict)
    inbox_waits: bool = False

    def takes(self, executions: int, attempts: int) -> None:
        """Its worker says how many more it takes; what is under way to it is among them."""
        self.capacity = executions - self.claiming - self.placing
        self.attempts = attempts

    def gets_back(self, executions: int) -> None:
        """Room that was taken off and not used is there again."""
        if not self.draining:
            self.capacity += executions

    def claim(self, tx: Transaction, limit: int) -> list[Claim]:
        """Claims for this session; who delivers them counts them."""
        return claim_for(tx, self.session_id, self.worker_id, self.pools, limit, self.secret)


@dataclass(frozen=True, slots=True)
class Given:
    """What one session got of the room it had.

    Attributes:
        session: the session.
        free: for how many it had room.
        claims: what it got.
        is_alive: whether it has not ended.
        is_short: whether there was more, which somebody had locked at that moment.
    """

    session: WorkerSession
    free: int
    claims: Sequence[Claim]
    is_alive: bool
    is_short: bool


def claim_all(tx: Transaction, room: Sequence[tuple[WorkerSession, int]]) -> list[Given]:
    """Claims for several sessions as much as each has room for."""
    given: list[Given] = []
    for session, free in room:
        claims = session.claim(tx, free)
        record = None if claims else tx.sessions.get(session.session_id)
        is_alive = bool(claims) or not (record is None or record.ended)
        is_short = is_alive and len(claims) < free and tx.executions.is_ready(session.pools)
        given.append(Given(session, free, claims, is_alive, is_short))
    return given
