"""The worker: observe, decide, act.

What happens (a message of the control plane, something a launcher saw, a timer) is put into the walks it
concerns; one *turn* of the loop later all walks that changed decide together, and what they decided goes
out as one batch of reports. While a batch waits for its answer, results gather for the next one; so
there is one message and one commit per wave, however many nodes it has. Attempts are launched when the
answer comes: nothing starts that is not committed.

The way of one attempt: `received(assignment)` makes a walk → `_turn` admits a start and sends it →
`_acknowledged` launches it → `observed(Succeeded)` puts the result into the walk → `_turn` …

This module is long since all of it reads and writes one state, what is held, changed and in flight,
whose rules must be seen together; what has a state of its own is apart (`taking`, `walking`, `places`,
`alarms`), and so is what only looks at one walk (`releasing`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

import structlog
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.worker.v1.worker_service_pb2 import (
    Acknowledgement,
    AcknowledgementBatch,
    Assignment,
    Capacity,
    ExecutionInbox,
    ExecutionReport,
    Goodbye,
    HeldExecution,
    Hello,
    Renewal,
    ReportBatch,
    Welcome,
    WorkRequest,
    WorkResponse,
)

from volery_dataplane.domain.waves import Wave
from volery_dataplane.worker.alarms import Alarms
from volery_dataplane.worker.lease import Lease
from volery_dataplane.worker.logs import LogShipper
from volery_dataplane.worker.measures import Measures
from volery_dataplane.worker.places import Places
from volery_dataplane.worker.ports import (
    AttemptKey,
    Clock,
    ControlPlane,
    Failed,
    Launcher,
    LogPiece,
    Observation,
)
from volery_dataplane.worker.releasing import release_of
from volery_dataplane.worker.spans import AttemptSpans
from volery_dataplane.worker.taking import Taking
from volery_dataplane.worker.walking import Walking, condemnation
from volery_dataplane.worker.worker_settings import WorkerSettings

log = structlog.get_logger(__name__)

REPORT_BYTES = 2 * 1024 * 1024
"""A batch is closed above this size; what is left goes with the next one."""

PART_BYTES = 1024 * 1024
"""A report above this size is sent in parts."""

LAST_WORDS = 2.0
"""Seconds that a draining worker waits until what it stopped is reported, and then for its goodbye."""


class Worker:
    """Walks executions; see the module's docstring. All methods run on the event loop."""

    def __init__(
        self,
        settings: WorkerSettings,
        launcher: Launcher,
        taking: Taking,
        logs: LogShipper,
        control_plane: ControlPlane,
        clock: Clock,
        new_session_id: Callable[[], str],
        measures: Measures | None = None,
        spans: AttemptSpans | None = None,
    ) -> None:
        self._spans = spans or AttemptSpans(None, settings.worker_id)
        self._measures = measures or Measures()
        self._settings = settings
        self._session_id = settings.session_id
        self._new_session_id = new_session_id
        self._launcher = launcher
        self._taking = taking
        self._logs = logs
        self._control_plane = control_plane
        self._send = control_plane.send
        self._clock = clock
        self._lease = Lease()
        self._walkings: dict[int, Walking] = {}
        self._changed: dict[int, Walking] = {}
        self._places = Places(launcher, self._may_start, self.defective)
        self._in_flight: ReportBatch | None = None
        self._sent_at = 0.0
        self._batch_number = 0
        self._turn_due = False
        self._connected = False
        self._moving = False
        self.connected = asyncio.Event()
        self._draining = False
        self._drained = asyncio.Event()
        self._parted = asyncio.Event()
        self._hello_time = 0.0
        self._alarms = Alarms(self._walkings, self._ring, self._rung, clock)
        self._condemned: list[ExecutionReport] = []
        self._renewer: asyncio.TimerHandle | None = None
        self._renewal_interval = 1.0

    @property
    def is_idle(self) -> bool:
        """Whether it holds nothing."""
        return not self._walkings

    @property
    def held(self) -> int:
        """How many executions it holds."""
        return len(self._walkings)

    # --- the stream -------------------------------------------------------------------------------

    def hello(self) -> Hello:
        """What opens the next stream."""
        self._hello_time = self._clock.monotonic()
        return Hello(
            worker_id=self._settings.worker_id,
            session_id=self._session_id,
            version=self._settings.version,
            pools=self._settings.pools,
            slots=self._settings.slots,
            executions=self._settings.executions,
            held=[
                HeldExecution(execution_key=walking.key, fencing_token=walking.token)
                for walking in self._walkings.values()
            ],
        )

    def received(self, message: WorkResponse) -> None:
        """A message of the control plane came."""
        arm = message.WhichOneof("message")
        if arm == "acknowledgement_batch":
            self._acknowledged(message.acknowledgement_batch)
        elif arm == "assignment_batch":
            for assignment in message.assignment_batch.assignments:
                self._assigned(assignment)
        elif arm == "inbox_batch":
            for inbox in message.inbox_batch.inboxes:
                self._inbox(inbox)
        elif arm == "renewed":
            if message.renewed.alive:
                self._measures.renewals += 1
                self._lease.renewed(message.renewed.number)
            else:
                self._lost_everything("the control plane ended this session")
        elif arm == "welcome":
            self._welcomed(message.welcome)
        elif arm == "go_away":
            self._moving = True
            self._move()
        elif arm == "goodbye":
            self._parted.set()

    def disconnected(self) -> None:
        """The stream broke. What runs goes on, for as long as the lease lasts."""
        self._connected = self._moving = False
        self._parted.set()

    def refused(self, why: str) -> None:
        """The control plane does not take this session up again."""
        self._lost_everything(why)

    def _move(self) -> None:
        """Leaves a control plane that shuts down, once it has answered."""
        if self._moving and self._in_flight is None:
            self._connected = self._moving = False
            self._control_plane.restart()

    def _welcomed(self, welcome: Welcome) -> None:
        self._connected = True
        self.connected.set()
        self._lease.granted(welcome.lease_duration.ToTimedelta().total_seconds(), self._hello_time)
        self._renewal_interval = welcome.renewal_interval.ToTimedelta().total_seconds()
        self._taking.welcomed(welcome)
        self._launcher.welcomed(welcome)
        for key in welcome.lost_execution_keys:
            self._drop(key)
        if not self._draining:
            free = max(0, self._settings.executions - len(self._walkings))
            capacity = Capacity(executions=free, attempts=self._launcher.capacity)
            self._send(WorkRequest(capacity=capacity))
        if self._in_flight is not None:
            # Sent, and perhaps committed, before the break: said again, and answered as a repeat.
            again = [report for report in self._in_flight.reports if report.execution_key in self._walkings]
            self._in_flight = None
            self._send_reports(again)
        self._schedule_renewal()
        self._wake()

    def _schedule_renewal(self) -> None:
        if self._renewer is not None:
            self._renewer.cancel()
        delay = self._renewal_interval
        if self._lease.duration:  # its end must not pass unnoticed
            delay = min(delay, max(0.001, self._lease.expires - self._clock.monotonic()))
        self._renewer = asyncio.get_running_loop().call_later(delay, self._renew)

    def _renew(self) -> None:
        if self._may_act() and self._connected:
            number = self._lease.renewal(self._clock.monotonic())
            load = self._launcher.load()
            renewal = Renewal(number=number, busy_slots=load.busy, waiting_attempts=load.waiting)
            self._send(WorkRequest(renewal=renewal))
        self._schedule_renewal()

    def _may_act(self) -> bool:
        """Whether the lease lasts; a worker that was stopped for long finds here that it does not."""
        if not self._lease.expired(self._clock.monotonic()):
            return True
        self._lost_everything("the lease ran out before the control plane could be reached")
        return False

    def _lost_everything(self, why: str) -> None:
        """Stops acting at once; a new session begins with the next stream."""
        self._measures.losses += 1
        log.warning("everything this worker held is lost", reason=why, executions=len(self._walkings))
        for key in list(self._walkings):
            self._drop(key)
        self._in_flight = None
        self._condemned.clear()
        self._lease = Lease()
        self._connected = self._moving = False
        self._session_id = self._new_session_id()
        self._control_plane.restart()

    # --- executions -------------------------------------------------------------------------------

    def _assigned(self, assignment: Assignment) -> None:
        self._taking.page(assignment, self)

    def took(self, walking: Walking) -> None:
        """An execution is ready to be walked."""
        older = self._walkings.get(walking.key)
        if older is not None:
            if older.token >= walking.token:
                return
            self._drop(walking.key)
        self._walkings[walking.key] = walking
        self._changed[walking.key] = walking
        wave, walking.begun = walking.begun, None
        if wave is not None and self._may_act():
            self._intended(walking, wave)
            self._launch(walking, wave)
        self._wake()

    def unwalkable(self, assignment: Assignment, message: str) -> None:
        """An execution cannot be walked: it ends with a failure that says why."""
        self._condemned.append(
            condemnation(
                assignment.execution_key,
                assignment.fencing_token,
                assignment.last_report_number + 1,
                message,
                self._clock.now(),
            )
        )
        self._wake()

    def defective(self, walking: Walking, defect: Exception) -> None:
        """A walk cannot go on, by a fault of ours: its execution ends, the others are left alone."""
        log.error("a walk cannot go on", execution=walking.execution, exc_info=defect)
        self._doom(walking, f"the worker could not go on with it: {defect!r}")

    def _doom(self, walking: Walking, message: str) -> None:
        """Ends an execution with a failure of the platform; as soon as its last report is answered."""
        if self._walkings.get(walking.key) is not walking:
            return
        if walking.sent is not None:
            walking.doomed = message
            return
        number = walking.number + 1
        self._condemned.append(condemnation(walking.key, walking.token, number, message, self._clock.now()))
        self._launcher.cancel(list(walking.live))
        self._drop(walking.key)
        self._wake()

    def fetched(self, walking: Walking) -> None:
        """Values a walk asked for have arrived in it."""
        if self._walkings.get(walking.key) is walking:
            self._changed[walking.key] = walking
            self._wake()

    def _inbox(self, inbox: ExecutionInbox) -> None:
        walking = self._walkings.get(inbox.execution_key)
        if walking is None or walking.token != inbox.fencing_token:
            self._taking.inbox(inbox)
            return
        try:
            walking.read_inbox(inbox.entries, self._clock.now())
        except Exception as defect:
            return self.defective(walking, defect)
        self._changed[walking.key] = walking
        self._wake()

    def _drop(self, key: int) -> None:
        """Lets go of an execution that somebody else holds, or that has ended."""
        walking = self._walkings.pop(key, None)
        self._changed.pop(key, None)
        self._spans.dropped(key)
        if walking is None:
            return
        if walking.live or walking.ended or walking.telling:
            self._launcher.let_go([*walking.live, *walking.ended, *walking.telling])
        self._places.leave(walking)
        if self._draining and not self._walkings:
            self._drained.set()

    # --- what launchers saw -----------------------------------------------------------------------

    def observed(self, observations: Sequence[Observation]) -> None:
        """A launcher saw something."""
        now = self._clock.now()
        self._measures.observed(observations)
        for observation in observations:
            key = observation.key
            if observation.is_end:
                self._places.free(key)
            walking = self._walkings.get(key.execution_key)
            if walking is None or walking.token != key.fencing_token or walking.doomed:
                continue
            self._spans.observed(observation)
            if isinstance(observation, Failed):
                walking.tell_failure(observation)
            try:
                walking.observe(observation, now)
            except Exception as defect:
                self.defective(walking, defect)
                continue
            self._changed[walking.key] = walking
        self._wake()

    def logged(self, pieces: Sequence[LogPiece]) -> None:
        """A launcher collected output."""
        self._measures.log_bytes += sum([len(piece.data) or piece.size for piece in pieces])
        self._logs.ship(pieces, self._clock.now(), self._send)

    # --- the turn ---------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        if self._in_flight is not None or not self._connected or not self._may_act():
            return
        now = self._clock.now()
        self._places.admit(self._changed, now)
        reports: list[ExecutionReport] = []
        size = 0
        for key, walking in list(self._changed.items()):
            if size > REPORT_BYTES:
                break
            del self._changed[key]
            if walking.sent is not None:
                continue
            try:
                report = self._report(walking, now)
                if report is not None and report.ByteSize() > PART_BYTES:
                    report = walking.split(PART_BYTES)
            except Exception as defect:
                walking.sent = None  # nothing of it has left
                self.defective(walking, defect)
                continue
            if report is not None:
                reports.append(report)
                size += report.ByteSize()
        reports += self._condemned
        self._condemned.clear()
        if reports:
            self._send_reports(reports)
        self._alarms.arm(now)

    def _may_start(self, walking: Walking) -> bool:
        return self._walkings.get(walking.key) is walking and not self._draining

    def _report(self, walking: Walking, now: int) -> ExecutionReport | None:
        if walking.again is not None:
            return walking.say_again()
        if walking.rest:
            return walking.say_rest()
        wave = walking.take(now)
        self._places.ask(walking, wave)
        if wave.cancels:
            self._launcher.cancel(walking.cancelled_keys(wave))
        if wave.fetches or wave.blobs:
            self._taking.fetch(walking, wave.fetches, wave.blobs, self)
        self._intended(walking, wave)
        release = release_of(walking, now, self._settings.park_after, draining=self._draining)
        told = walking.inbox_position == walking.inbox_reported
        if not wave.must_be_reported and release is None and told:
            # Committed before: only the cache's answer, or the inputs of what is adopted, were waited for.
            self._settle(walking)
            self._launch(walking, wave)
            return None
        self._spans.reported(walking.key)
        report = walking.report(wave)
        if release is not None:
            report.release.CopyFrom(release)
        return report

    def _intended(self, walking: Walking, wave: Wave) -> None:
        """Counts the starts of a wave as under way, from before it is committed."""
        self._places.take(walking, wave)
        self._alarms.note(walking)

    def _send_reports(self, reports: Iterable[ExecutionReport]) -> None:
        self._batch_number += 1
        batch = ReportBatch(number=self._batch_number, reports=reports)
        if batch.reports:
            self._in_flight = batch
            self._sent_at = self._clock.monotonic()
            self._measures.wave.observe(len(batch.reports))
            self._send(WorkRequest(report_batch=batch))

    def _acknowledged(self, batch: AcknowledgementBatch) -> None:
        """A wave is committed: what it intended is launched."""
        if self._in_flight is None or batch.number != self._in_flight.number or not self._may_act():
            return
        answered, self._in_flight = self._in_flight, None
        self._measures.acknowledged.observe(self._clock.monotonic() - self._sent_at)
        # In the order of the reports, since a number alone does not tell an older hold from a newer one.
        for told, answer in zip(answered.reports, batch.acknowledgements, strict=False):
            walking = self._walkings.get(told.execution_key)
            if walking is None or walking.token != told.fencing_token or walking.sent is None:
                continue
            try:
                self._answered(walking, answer)
            except Exception as defect:
                self.defective(walking, defect)
        if self._changed or self._condemned:
            self._wake()
        self._move()

    def _answered(self, walking: Walking, answer: Acknowledgement) -> None:
        report, walking.sent = walking.sent, None
        assert report is not None, "only what was sent is answered"
        if answer.refusal:
            wave, walking.wave = walking.wave, None
            self._refused(walking, report, wave, answer)
            return
        walking.number = answer.number
        if walking.doomed:
            self._doom(walking, walking.doomed)
            return
        if not walking.rest:
            self._spans.answered(walking.key, self._clock.now())
            wave, walking.wave = walking.wave, None
            walking.inbox_reported = report.inbox_position
            if wave is not None and wave.terminal:
                walking.telling += walking.ended
                walking.ended = []
            self._settle(walking)
            if report.HasField("release") or wave is None or wave.terminal:
                self._drop(walking.key)
                return
            self._launch(walking, wave)
        if answer.cache_answers:
            walking.cache_answered(answer.cache_answers, self._clock.now())
        if walking.rest or walking.walk.has_news or walking.walk.ready or not walking.live:
            self._changed[walking.key] = walking

    def _settle(self, walking: Walking) -> None:
        """What was kept of attempts whose end is committed can go."""
        if told := walking.committed():
            self._launcher.settled(told)

    def _launch(self, walking: Walking, wave: Wave) -> None:
        launch = self._launcher.launch
        around = walking.surroundings
        for start in wave.starts:
            key = AttemptKey(walking.key, start.path, start.attempt, walking.token)
            if key in walking.live:
                self._measures.started += 1
                own = self._spans.ordered(key, around.execution, around.traceparent, self._clock.now())
                launch(walking.order(start, own))

    def _refused(
        self, walking: Walking, report: ExecutionReport, wave: Wave | None, answer: Acknowledgement
    ) -> None:
        if answer.refusal == ErrorReason.ERROR_REASON_STALE:
            log.info("an execution is held by another worker", execution=walking.surroundings.execution)
            self._drop(walking.key)
        elif answer.refusal == ErrorReason.ERROR_REASON_BUSY and report.HasField("release"):
            # Something came in while it was being parked; the events of the report were not committed.
            walking.unparkable_at = report.inbox_position
            report.ClearField("release")
            walking.again = (report, wave)
            self._changed[walking.key] = walking
        else:
            log.error("a report was refused", execution=walking.execution, message=answer.message)
            self._doom(walking, answer.message)

    # --- timers and the end -----------------------------------------------------------------------

    def _ring(self, walking: Walking, now: int) -> None:
        try:
            walking.walk.timer(now)
        except Exception as defect:
            self.defective(walking, defect)
        else:
            self._changed[walking.key] = walking

    def _rung(self) -> None:
        if self._changed:
            self._wake()

    async def drain(self, grace: float) -> None:
        """Takes nothing new, lets what runs end for `grace` seconds, and gives the rest back.

        What still runs then is stopped; whoever takes the execution next finds it lost, which counts
        against the infrastructure's budget and not against the task's. Where the launcher adopts, nothing is
        waited for or stopped: whoever takes the execution next finds it running.
        """
        self._draining = True
        self._send(WorkRequest(capacity=Capacity(executions=0)))
        if self._launcher.adopts:
            for walking in self._walkings.values():
                self._launcher.let_go(list(walking.live))
                self._places.leave(walking)
            grace = LAST_WORDS
        if self._walkings:
            self._changed.update(self._walkings)
            self._wake()
            try:
                async with asyncio.timeout(grace):
                    await self._drained.wait()
            except TimeoutError:
                log.warning("what still runs is stopped", attempts=len(self._places.taken))
        await self._launcher.stop(0)
        if self._walkings and self._connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self._drained.wait()
        self._alarms.cancel()
        if self._renewer is not None:
            self._renewer.cancel()

    async def leave(self) -> None:
        """Says goodbye once it has drained and said all else, and waits a little for the answer.

        What was on its way here goes to others then, and not when the lease has run out.
        """
        if not self._connected:
            return
        self._parted.clear()
        self._send(WorkRequest(goodbye=Goodbye()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._parted.wait()
