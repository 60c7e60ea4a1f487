"""Spans of attempts: what happened to each, told once its end is committed.

An attempt's span has its context before it begins, so that the task can pass it on. Below it are a span for
the launch, one for the user's code, and one for the commit, which ends with the acknowledgement.
"""

from __future__ import annotations

from dataclasses import dataclass

from volery_telemetry.traces import SpanContext, Tracing, parse

from volery_dataplane.worker.ports import AttemptKey, Cancelled, Failed, Observation, Started, Waiting


@dataclass(frozen=True, slots=True)
class _Ordered:
    context: SpanContext
    parent: SpanContext
    execution: str
    time: int


class AttemptSpans:
    """The spans of a worker's attempts; without tracing it does nothing, at next to no cost."""

    def __init__(self, tracing: Tracing | None, worker_id: str) -> None:
        self._tracing = tracing
        self._worker_id = worker_id
        self._ordered: dict[AttemptKey, _Ordered] = {}
        self._ended: dict[int, list[Observation]] = {}
        self._reported: dict[int, list[Observation]] = {}

    def ordered(self, key: AttemptKey, execution: str, traceparent: str, now: int) -> str:
        """An attempt is about to be launched; gives its own trace context, empty when it is not traced."""
        if self._tracing is None or not traceparent or (parent := parse(traceparent)) is None:
            return ""
        context = self._tracing.child(parent, "attempt")
        self._ordered[key] = _Ordered(context, parent, execution, now)
        return context.traceparent

    def observed(self, observation: Observation) -> None:
        """A launcher saw something of an attempt."""
        if observation.key in self._ordered and observation.is_end:
            self._ended.setdefault(observation.key.execution_key, []).append(observation)

    def reported(self, execution_key: int) -> None:
        """What was observed of an execution so far is in a report that goes out now."""
        ended = self._ended.pop(execution_key, None)
        if ended:
            self._reported.setdefault(execution_key, []).extend(ended)

    def answered(self, execution_key: int, now: int) -> None:
        """That report is committed."""
        for observation in self._reported.pop(execution_key, ()):
            ordered = self._ordered.pop(observation.key, None)
            if self._tracing is not None and ordered is not None:
                self._tell(self._tracing, ordered, observation, now)

    def dropped(self, execution_key: int) -> None:
        """An execution is held no longer; what was not committed is not told."""
        if not self._ordered:
            return
        self._ended.pop(execution_key, None)
        self._reported.pop(execution_key, None)
        for key in [key for key in self._ordered if key.execution_key == execution_key]:
            del self._ordered[key]

    def _tell(self, tracing: Tracing, ordered: _Ordered, observation: Observation, now: int) -> None:
        assert not isinstance(observation, Started | Waiting), "only ends are told"
        key, end = observation.key, observation.end_time
        error = ""
        launch, code = 0, 0
        if isinstance(observation, Failed):
            error = f"{observation.failure.code}: {observation.failure.message}"[:1000]
        if not isinstance(observation, Cancelled):
            launch, code = observation.launched
        start = code or observation.start_time or 0
        tracing.tell(
            f"attempt {key.path}",
            ordered.context,
            ordered.parent,
            ordered.time,
            now,
            {
                "volery.execution": ordered.execution,
                "volery.node": key.path,
                "volery.attempt": key.attempt,
                "volery.worker": self._worker_id,
            },
            error=error,
        )
        if launch and start:
            _below(tracing, ordered, "launch", launch, start)
        if start:
            _below(tracing, ordered, "user code", start, end, error)
        _below(tracing, ordered, "commit", end, now)


def _below(tracing: Tracing, of: _Ordered, name: str, begin: int, end: int, error: str = "") -> None:
    context = tracing.child(of.context, name)
    tracing.tell(name, context, of.context, begin, end, {}, error=error)
