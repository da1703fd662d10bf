"""What Prometheus may ask of the services: queries by outcome, their rows, bytes and time."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Histogram

_LABELS = ("mode", "format", "outcome")
QUERIES = Counter("cerro_queries", "Queries that ended", _LABELS)
ROWS = Counter("cerro_query_rows", "Rows that were written", ("mode", "format"))
BYTES = Counter("cerro_query_bytes", "Bytes of results", ("mode", "format"), unit="bytes")
SECONDS = Histogram(
    "cerro_query_phase",
    "Time of a query by phase: parse, plan, execute, write",
    ("mode", "phase"),
    unit="seconds",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3600),
)
REQUESTS = Counter("cerro_http_requests", "Responses begun", ("service", "method", "status"))
_SERVICES = frozenset({"tap", "cone", "oai", "releases", "healthz"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


def request(method: str, path: str, status: int) -> None:
    """Count a response; labels take few values, whatever clients send."""
    service = path.split("/", 3)[2] if path.startswith("/api/") else ""
    known = service if service in _SERVICES else "other"
    REQUESTS.labels(known, method if method in _METHODS else "other", str(status)).inc()


def query(
    *,
    mode: str,
    format: str,  # noqa: A002 - the label's name
    outcome: str,
    rows: int,
    bytes: int,  # noqa: A002 - likewise
    seconds: Mapping[str, float],
) -> None:
    """Count a query that ended.

    Parameters
    ----------
    mode
        ``sync`` or ``async``.
    format
        Short name of the result's format.
    outcome
        ``ok``, or the code of the error.
    rows, bytes
        What was written.
    seconds
        Time by phase.
    """
    QUERIES.labels(mode, format, outcome).inc()
    ROWS.labels(mode, format).inc(rows)
    BYTES.labels(mode, format).inc(bytes)
    for phase, spent in seconds.items():
        SECONDS.labels(mode, phase).observe(max(0.0, spent))
