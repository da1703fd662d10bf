"""Logs: one line for each event, JSON where no person looks on, and never a token."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET = re.compile(
    r"(?i)\b(bearer|basic|token)(\s+)[\w.~+/=-]{6,}|\b((?:access_)?token=|password=)[^\s&'\"]+"
    r"|://[^\s/@:]+:[^\s/@]+@"
)
_SECRETS = frozenset({"authorization", "token", "password", "cookie"})
_LONGEST = 2000
"""Characters of a text that is logged."""
_TRACE = 20_000
"""Characters of a traceback."""


def configure(level: str | int = "info", *, stream: TextIO | None = None) -> None:
    """Send all logs of this process to one place in one form.

    Parameters
    ----------
    level
        debug, info, warning or error, or the number of one.
    stream
        Where to; stderr by default. Lines are JSON unless it is a terminal.
    """
    target = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # A logger that was used before is to heed what is configured later.
        cache_logger_on_first_use=False,
    )
    last: list[Processor]
    if target.isatty():
        last = [without_secrets, structlog.dev.ConsoleRenderer()]
    else:
        last = [structlog.processors.format_exc_info, without_secrets]
        last.append(structlog.processors.JSONRenderer(default=str, ensure_ascii=False))
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _plain,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper() if isinstance(level, str) else level)
    for name in ("httpx", "httpcore", "huey"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _plain(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop uvicorn's second, coloured text."""
    event.pop("color_message", None)
    return event


def without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take tokens and passwords out of an event, and cut texts that are very long."""
    return {
        key: "…" if key.lower() in _SECRETS and value else _told(value, whole=key == "exception")
        for key, value in event.items()
    }


def _told(value: Any, *, whole: bool = False) -> Any:
    if not isinstance(value, str):
        return value
    told = _SECRET.sub(_masked, value)
    if whole:
        # What went wrong stands at its end.
        return told[-_TRACE:]
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}… ({len(told):,} characters)"


def _masked(match: re.Match[str]) -> str:
    if match[1]:
        return f"{match[1]}{match[2]}…"
    return f"{match[3]}…" if match[3] else "://…@"
