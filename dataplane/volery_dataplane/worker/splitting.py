"""Cuts a report that is too long for a message into several that are committed one after another.

Each part is a legal report: what came before it has happened, what comes after it has not yet. Values go
first, since they are not looked at before their node has succeeded; events follow in their order, each with
its cache lookup or entry and the values that the entry is made of. What speaks of the whole (counts, the
position in the inbox, the release) is said by the last part, and only after that is anything launched.
"""

from __future__ import annotations

from collections.abc import Iterator

from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport

from volery_dataplane.worker.cutting import PIECE_BYTES, TooLong, cut


def split(report: ExecutionReport, limit: int) -> list[ExecutionReport]:
    """Parts of about `limit` bytes at most, numbered from the report's own number; raises `TooLong`."""
    parts = []
    for group in cut(_pieces(report), _weight, limit):
        parts.append(ExecutionReport())
        for piece in group:
            parts[-1].MergeFrom(piece)
    parts = parts or [ExecutionReport()]
    last = parts[-1]
    last.inbox_position = report.inbox_position
    last.node_counts.extend(report.node_counts)
    if report.HasField("counts"):
        last.counts.CopyFrom(report.counts)
    if report.HasField("release"):
        last.release.CopyFrom(report.release)
    for offset, part in enumerate(parts):
        part.execution_key, part.fencing_token = report.execution_key, report.fencing_token
        part.number = report.number + offset
    return parts


def _weight(piece: ExecutionReport) -> int:
    weight = piece.ByteSize()
    if weight > PIECE_BYTES:
        names = {output.path: output.name for output in piece.outputs}
        path, name = next(iter(names.items()), ("", ""))
        what = f"output {name} of {path or 'the execution'}" if names else "an event"
        raise TooLong(
            f"{what} has {weight} bytes and cannot be cut; at most {PIECE_BYTES} fit into a message"
        )
    return weight


def _pieces(report: ExecutionReport) -> Iterator[ExecutionReport]:
    """What must not be torn apart, in order."""
    writes = {write.path: write for write in report.cache_writes}
    lookups = {lookup.path: lookup for lookup in report.cache_lookups}
    kept: dict[str, ExecutionReport] = {path: ExecutionReport(cache_writes=[w]) for path, w in writes.items()}
    for output in report.outputs:
        if output.path in kept:
            kept[output.path].outputs.append(output)
        else:
            yield ExecutionReport(outputs=[output])
    last = {event.node.path: number for number, event in enumerate(report.events) if event.HasField("node")}
    for number, event in enumerate(report.events):
        piece = ExecutionReport(events=[event])
        path = event.node.path
        if event.HasField("node") and last[path] == number:
            if path in kept:
                piece.MergeFrom(kept.pop(path))
            if path in lookups:
                piece.cache_lookups.append(lookups.pop(path))
        yield piece
    # A question that is put again, without an event of its node.
    yield from (ExecutionReport(cache_lookups=[lookup]) for lookup in lookups.values())
    yield from kept.values()
