"""Executions as rows: what every reader of the table selects, and the record it becomes."""

from __future__ import annotations

import json
from typing import Final

from volery_controlplane.domain.records import ExecutionHead, ExecutionName, ExecutionRecord
from volery_controlplane.store.statements import Row
from volery_controlplane.store.tables import Execution, table_of

EXECUTION = table_of(Execution)

_RECORD: Final = (
    "key",
    "project",
    "domain",
    "name",
    "uid",
    "fingerprint",
    "target_kind",
    "target_project",
    "target_domain",
    "target_name",
    "target_version",
    "closure_digest",
    "options",
    "principal",
    "phase",
    "create_time",
    "start_time",
    "end_time",
    "failure",
    "abort",
    "counts",
    "last_sequence",
    "warnings",
    "worker_id",
    "traceparent",
)

_HEAD: Final = (
    "key",
    "project",
    "domain",
    "name",
    "phase",
    "fencing_token",
    "session_id",
    "last_sequence",
    "last_report",
    "inbox_last",
    "inbox_acknowledged",
    "start_time",
)

RECORD_COLUMNS = tuple(EXECUTION.c[name] for name in _RECORD)
HEAD_COLUMNS = tuple(EXECUTION.c[name] for name in _HEAD)


def to_record(row: Row) -> ExecutionRecord:
    """The record of a row of `RECORD_COLUMNS`."""
    warnings = json.loads(row[22]) if row[22] != "[]" else ()
    fields: Row = (row[0], ExecutionName(row[1], row[2], row[3]), *row[4:22], warnings, *row[23:])
    return ExecutionRecord(*fields)


def to_head(row: Row) -> ExecutionHead:
    """The record of a row of `HEAD_COLUMNS`."""
    return ExecutionHead(*row)
