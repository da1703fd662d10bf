"""Synchronous queries (TAP 1.1 §2.2): from the parameters to the pieces of a document."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from cerro_services.adql import Query, compile_query
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.engine import QueryCancelledError, ResourceError, Stream
from cerro_services.errors import CerroError
from cerro_services.formats import Format, Rows, choose, describe, pieces
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.release import Release
from cerro_services.tap.tapschema import View, view

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")
HELD = 1 << 20
"""Bytes of a result that are written before the response begins: a small result is sent whole,
with its length, and an early error has its own status."""
_VIEWS, _QUERIES = 64, 512


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
    groups
        Groups of the caller.
    """

    def __init__(
        self, context: Context, views: Views, question: Question, groups: frozenset[str]
    ) -> None:
        self._context = context
        self._views = views
        self._groups = groups
        self._stream: Stream | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._stopped: CerroError | None = None
        self._left = context.settings.sync_seconds
        self.question = question
        self.rows = Rows()
        self.overflow: bool | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds for which the query may still run."""
        return max(0.0, self._left)

    def begin(self) -> tuple[bytes, bool]:
        """Start the query.

        Returns
        -------
        tuple of bytes and bool
            The beginning of the document, and whether it is the whole.

        Raises
        ------
        CerroError
            The query is wrong, or failed before anything was written.
        """
        started = time.monotonic()
        seen = self._views.view(self._context.store.published(), self._groups)
        query = self._views.query(seen, self.question.adql)
        maxrec = self.question.maxrec
        try:
            self._stream = self._context.engine.stream(query, limit=maxrec + 1)
            self._check()
            fields = describe(query.columns, self._stream.begin())
            writer = self.question.form.writer(fields, (("QUERY", query.adql),))
            self._pieces = pieces(self._stream, writer, maxrec, self.rows)
            parts, whole = self._collect()
            if self.rows.error is not None and whole:
                raise self.rows.error
            self.overflow = self.rows.overflow if whole else self._ahead(query, maxrec)
        except CerroError as error:
            self.close()
            raise self._reason(error) from error
        except BaseException:
            self.close()
            raise
        self._left -= time.monotonic() - started
        return parts, whole

    def next(self) -> bytes | None:
        """Give the next piece of the document; None after the last."""
        started = time.monotonic()
        piece = next(self._pieces, None)
        self._left -= time.monotonic() - started
        return piece

    def stop(self, *, late: bool = False) -> None:
        """Stop the query; from any thread.

        Parameters
        ----------
        late
            Whether its time is over; else nobody waits for it any more.
        """
        if late:
            seconds = self._context.settings.sync_seconds
            self._stopped = ResourceError(
                f"The query ran longer than the {seconds:g} seconds it may. "
                "Limit it to a part of the sky, or select fewer rows."
            )
        else:
            self._stopped = QueryCancelledError("The query was stopped.")
        if self._stream is not None:
            self._stream.cancel()

    def close(self) -> None:
        """Give back what the query holds."""
        if self._stream is not None:
            self._stream.close()

    def _check(self) -> None:
        if self._stopped is not None:
            raise self._stopped

    def _reason(self, error: CerroError) -> CerroError:
        stopped = isinstance(error, QueryCancelledError) and self._stopped is not None
        return self._stopped or error if stopped else error

    def _collect(self) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        size = 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size > HELD:
                return b"".join(parts), False
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
