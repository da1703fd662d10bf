"""Synchronous queries (TAP 1.1 §2.2): from the parameters to the pieces of a document."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from cerro_services.access import Caller
from cerro_services.adql import Query, compile_query
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.engine import QueryCancelledError, ResourceError, Stream
from cerro_services.errors import CerroError
from cerro_services.formats import Format, Rows, choose, describe, pieces
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.release import Release
from cerro_services.tap.tapschema import View, view

log = logging.getLogger(__name__)

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")
HELD = 1 << 20
"""Bytes of a result that are written before the response begins: a small result is sent whole,
with its length, and an early error has its own status."""
_VIEWS, _QUERIES = 64, 512
_SHORT = 10_000
"""Characters of a query that is kept: long ones would fill the memory, and seldom come again."""


@dataclass(frozen=True)
class Question:
    """What a client asks.

    Parameters
    ----------
    adql
        The query.
    form
        Format of the answer.
    maxrec
        Rows at most.
    """

    adql: str
    form: Format
    maxrec: int

    @classmethod
    def read(cls, parameters: Parameters, accept: str | None, settings: Settings) -> Question:
        """Read the parameters of TAP.

        Raises
        ------
        ParameterError
            One is missing or wrong.
        FormatError
            The format is not offered.
        """
        request = parameters.get("REQUEST")
        if request is not None and request.lower() != "doquery":
            raise ParameterError(
                f"REQUEST={request} is not offered; write REQUEST=doQuery or none."
            )
        language = parameters.get("LANG") or "ADQL"
        if language.upper() not in LANGUAGES:
            raise ParameterError(
                f"LANG={language} is not offered; write one of {', '.join(LANGUAGES)}."
            )
        if parameters.get("UPLOAD") is not None:
            raise ParameterError("UPLOAD is not offered yet.")
        adql = parameters.get("QUERY")
        if adql is None or not adql.strip():
            raise ParameterError("QUERY is missing: the ADQL to answer.")
        if len(adql) > settings.query_limit:
            raise ParameterError(
                f"QUERY has {len(adql):,} characters; at most {settings.query_limit:,} are read."
            )
        form = choose(parameters.get("RESPONSEFORMAT", "FORMAT"), accept)
        maxrec = parameters.integer("MAXREC")
        wanted = settings.maxrec_default if maxrec is None else maxrec
        return cls(adql, form, min(wanted, settings.maxrec_hard))


class Views:
    """What callers see and what they asked before, kept while the releases stay the same."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._views: dict[tuple[object, ...], View] = {}
        self._queries: dict[tuple[int, str], tuple[View, Query]] = {}

    def view(self, releases: Sequence[Release], groups: frozenset[str]) -> View:
        """Give what members of some groups may read."""
        key = (groups, *((release.name, release.version) for release in releases))
        found = self._views.get(key)
        if found is None:
            found = view(releases, groups)
            with self._lock:
                _make_room(self._views, _VIEWS)
                self._views[key] = found
        return found

    def query(self, seen: View, adql: str) -> Query:
        """Compile a query, or give it as it was compiled before."""
        key = (id(seen), adql)
        known = self._queries.get(key)
        # The view is kept beside its query, so its identity belongs to no other.
        if known is not None and known[0] is seen:
            return known[1]
        query = compile_query(adql, seen.catalogue)
        if len(adql) > _SHORT:
            return query
        with self._lock:
            _make_room(self._queries, _QUERIES)
            self._queries[key] = (seen, query)
        return query


class Answer:
    """The answer to a question, written piece by piece in worker threads.

    Parameters
    ----------
    context
        What the services share.
    views
        What callers see.
    question
        What is asked.
    caller
        Who asks.
    address
        Where they ask from.
    """

    def __init__(
        self,
        context: Context,
        views: Views,
        question: Question,
        caller: Caller,
        address: str = "",
    ) -> None:
        self._context = context
        self._views = views
        self.caller = caller
        self.address = address
        self._stream: Stream | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._stopped: CerroError | None = None
        self._spent = 0.0
        self._closed = False
        self.question = question
        self.rows = Rows()
        self.overflow: bool | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds for which the query may still run; waiting for the client does not count."""
        return max(0.0, self._context.settings.sync_seconds - self._spent)

    def begin(self) -> tuple[bytes, bool]:
        """Start the query.

        Returns
        -------
        tuple of bytes and bool
            The beginning of the document, and whether it is the whole.

        Raises
        ------
        CerroError
            The query is wrong, or failed before anything was sent.
        """
        started = time.monotonic()
        try:
            seen = self._views.view(self._context.store.published(), self.caller.groups)
            query = self._views.query(seen, self.question.adql)
            maxrec = self.question.maxrec
            self._stream = self._context.engine.stream(query, limit=maxrec + 1)
            if self._stopped is not None:
                raise self._stopped
            fields = describe(query.columns, self._stream.begin())
            writer = self.question.form.writer(fields, (("QUERY", query.adql),))
            self._pieces = pieces(self._stream, writer, maxrec, self.rows)
            parts, whole = self._collect()
            if self.rows.error is not None and whole:
                raise self.rows.error
            self.overflow = self.rows.overflow if whole else self._ahead(query, maxrec)
        except BaseException as error:
            self.rows.error = error if isinstance(error, CerroError) else self.rows.error
            self.close()
            raise
        finally:
            self._spent += time.monotonic() - started
        return parts, whole

    def next(self) -> bytes | None:
        """Give the next piece of the document; None after the last."""
        started = time.monotonic()
        piece = next(self._pieces, None)
        self._spent += time.monotonic() - started
        return piece

    def stop(self, *, late: bool = False) -> None:
        """Stop the query; from any thread.

        Parameters
        ----------
        late
            Whether its time is over; else nobody waits for it any more.
        """
        if self._stopped is None:
            seconds = self._context.settings.sync_seconds
            self._stopped = (
                ResourceError(
                    f"The query ran longer than the {seconds:g} seconds it may. "
                    "Limit it to a part of the sky, or select fewer rows."
                )
                if late
                else QueryCancelledError("The query was stopped.")
            )
        if self._stream is not None:
            self._stream.cancel(self._stopped)

    def close(self) -> None:
        """Give back what the query holds, and log how it went."""
        if self._closed:
            return
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        log.info(
            "query by %s: %s, %d rows%s as %s in %.1f ms: %r",
            self.caller.name or "public",
            self.rows.error.code if self.rows.error else "ok",
            self.rows.count,
            " (overflow)" if self.rows.overflow else "",
            self.question.form.name,
            self._spent * 1e3,
            self.question.adql[:500],
        )

    def _collect(self) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        size = 0
        try:
            for piece in self._pieces:
                parts.append(piece)
                size += len(piece)
                if size > HELD:
                    return b"".join(parts), False
        except ConnectionAbortedError:
            # Nothing is sent yet, so the error can still be told as what it is.
            if self.rows.error is not None:
                raise self.rows.error from None
            raise
        return b"".join(parts), True

    def _ahead(self, query: Query, maxrec: int) -> bool | None:
        """Find out before the first byte whether rows will be missing, if only a header tells."""
        if self.question.form.marks_overflow:
            return None
        if query.top is not None and query.top <= maxrec:
            return False
        stream = self._context.engine.stream(query.counted(maxrec + 1))
        try:
            return any(batch.column(0)[0].as_py() > maxrec for batch in stream)
        finally:
            stream.close()


def _make_room[K, V](entries: dict[K, V], most: int) -> None:
    while len(entries) >= most:
        entries.pop(next(iter(entries)))
