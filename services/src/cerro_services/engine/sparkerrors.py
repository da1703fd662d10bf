"""What a failure of Spark means to who asked."""

from __future__ import annotations

import logging
import re

from cerro_services.adql import Query
from cerro_services.engine.base import (
    EngineError,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
)
from cerro_services.errors import CerroError

log = logging.getLogger(__name__)

_MEMORY = re.compile(
    r"OutOfMemory|OUT_OF_MEMORY|UNABLE_TO_ACQUIRE_MEMORY|maxResultSize|Java heap space"
    r"|No space left on device|exit code 137|Exit status: 137|exceeds the limit of.*broadcast"
)
_LOST = ("SESSION_CHANGED", "SESSION_CLOSED", "SESSION_NOT_FOUND", "NO_ACTIVE_SESSION")


def is_lost(error: Exception) -> bool:
    """Whether a failure is only that the server does not know the session (any more).

    Parameters
    ----------
    error
        What Spark's client raised.
    """
    return any(word in _condition(error) for word in _LOST)


def explained(error: Exception, query: Query) -> CerroError:
    """Give the error that is told to who asked.

    Parameters
    ----------
    error
        What Spark's client raised.
    query
        The query.
    """
    condition, state, text = _condition(error), _state(error), str(error)
    first = text.partition("JVM stacktrace")[0].strip().split("\n")[0]
    if "OPERATION_CANCELED" in condition or "OPERATION_CANCELED" in first:
        return QueryCancelledError("The query was stopped.")
    if _MEMORY.search(text):
        return ResourceError(
            "The query needs more memory than the cluster has for it. Select fewer columns or "
            "rows, or limit it to a part of the sky."
        )
    if state.startswith("22") or state == "42846":
        return QueryRefusedError(_sentence(first))
    if state.startswith("42"):
        log.warning("Spark did not accept %r: %s", query.adql, first)
        return QueryRefusedError(f"Spark does not accept an expression: {_sentence(first)}")
    if state.startswith("0A"):
        log.warning("Spark cannot answer %r: %s", query.adql, first)
        return QueryRefusedError(f"Spark does not offer this: {_sentence(first)}")
    tables = ", ".join(sorted({scan.table.name for scan in query.scans}))
    log.error("query failed on %s: %s (%r)", tables, text[:4000], query.adql)
    if "UNAVAILABLE" in text or "RETRIES_EXCEEDED" in condition:
        return EngineError(
            "The query cluster cannot be reached. Try again in a minute; "
            "the operator finds the reason in the log."
        )
    return EngineError(
        f"The data of {tables} could not be read. The operator finds the reason in the log."
    )


def _condition(error: Exception) -> str:
    get = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
    return str(get() or "") if get is not None else ""


def _state(error: Exception) -> str:
    get = getattr(error, "getSqlState", None)
    state = str(get() or "") if get is not None else ""
    if not state:
        found = re.search(r"SQLSTATE: (\w{5})", str(error))
        state = found[1] if found else ""
    return state


def _sentence(text: str) -> str:
    """Leave out Spark's codes and its advice on settings that nobody here can change."""
    text = re.sub(r"^\(?[\w.]*Exception\)?:? ?", "", text)
    text = re.sub(r"^\[[A-Z0-9_.]+\] ?", "", text)
    text = re.sub(r" ?SQLSTATE: \w{5}.*$", "", text)
    text = re.split(r" (?:Use|If necessary|To|Please|You can) ", text, maxsplit=1)[0]
    return text.strip().rstrip(".") + "."
