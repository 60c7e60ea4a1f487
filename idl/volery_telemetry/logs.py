"""Logs: one shape for both planes, lines for people or JSON objects for programs, on standard error.

A JSON line has `timestamp`, `level` and `event`, the plane's own constant fields (`plane`, and `worker` of
a worker), and where they are known `execution` (project/domain/name), `node` (its path), `attempt`,
`request_id` and `trace_id`. What libraries log and what nobody caught takes the same shape. What tasks write
never comes here: it is the log of their attempts.
"""

from __future__ import annotations

import logging
import os
import sys
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FORMATS = ("console", "json")
LEVELS = ("debug", "info", "warning", "error")


def configure(format: str, level: str, **constant: str) -> None:
    """Sends log lines to standard error; standard output belongs to whoever started us.

    Args:
        format: `console` or `json`.
        level: the least that is said.
        **constant: fields of every line.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    is_json = format == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        shared += [_adding(constant), structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, _renderer(is_json)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    if is_json:
        _take_over_the_rest(shared)
    else:
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


class _Lossy:
    """A stream that loses what cannot be written: a full disk must not end who only wanted to say something.

    What comes after a loss begins on a line of its own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_torn = False

    def write(self, text: str) -> int:
        """Writes, or does not."""
        try:
            if self._is_torn:
                self._stream.write("\n")
                self._is_torn = False
            return self._stream.write(text)
        except OSError:
            self._is_torn = True
            return len(text)

    def flush(self) -> None:
        """Sends on what was written, or loses it."""
        try:
            self._stream.flush()
        except OSError:
            self._is_torn = True


def _renderer(is_json: bool) -> Processor:
    if is_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        # not the one that shows local variables, which hold what users sent
        exception_formatter=structlog.dev.plain_traceback,
    )


def _adding(constant: dict[str, str]) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for name, value in constant.items():
            event.setdefault(name, value)
        return event

    return add


def _take_over_the_rest(shared: list[Processor]) -> None:
    """Lines of libraries, warnings and last exceptions, as JSON too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes lines of its own
    sys.excepthook = _last_words


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Any:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger("volery").error("nobody caught this", exc_info=(kind, error, trace))
