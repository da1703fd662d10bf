"""The answer to a question, piece by piece: what synchronous queries and jobs share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from cerro_services.access import Caller
from cerro_services.adql import Catalogue, Query
from cerro_services.context import Context
from cerro_services.engine import QueryCancelledError, ResourceError, Stream
from cerro_services.errors import CerroError
from cerro_services.formats import Field, Frame, Rows, describe, pieces, settled
from cerro_services.scratch import Scratch
from cerro_services.tap.datalinks import services_of
from cerro_services.tap.question import Question
from cerro_services.tap.record import Seconds, record
from cerro_services.tap.tapschema import Schema
from cerro_services.tap.views import Views
from cerro_services.uploads import limits_of, load

HELD = 1 << 20
"""Bytes of a result that are written before the response begins: a small result is sent whole,
with its length, and an early error has its own status."""
PATIENCE = 1.0
"""Seconds after the first rows when what there is goes out: slow rows are not held back."""
_SHOWN = 20_000
"""Characters of a query that go into the result."""


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
    seconds
        How long the query may run; by default as long as a synchronous one.
    mode
        ``sync`` or ``async``, for the log and the metrics.
    job
        The job it belongs to, for the log.
    scratch
        Folder of the uploads, to be removed at the end.
    """

    def __init__(
        self,
        context: Context,
        views: Views,
        question: Question,
        caller: Caller,
        address: str = "",
        *,
        seconds: float | None = None,
        mode: str = "sync",
        job: str | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        self._context = context
        self._views = views
        self.caller = caller
        self.address = address
        quota = context.quotas.of(caller)
        self.question = replace(question, maxrec=min(question.maxrec, quota.maxrec))
        self._limit = quota.sync_seconds if seconds is None else seconds
        self._mode = mode
        self._job = job
        self._scratch = scratch
        self._stream: Stream | None = None
        self._pieces: Iterator[bytes] | None = None
        self._stopped: CerroError | None = None
        self._closed = False
        self._schemas: tuple[Schema, ...] = ()
        self.query: Query | None = None
        """The query, once it has been read."""
        self.rows = Rows()
        self.overflow: bool | None = None
        self.seconds = Seconds()
        self.bytes = 0

    @property
    def seconds_left(self) -> float:
        """Seconds for which the query may still run; waiting for the client does not count."""
        return max(0.0, self._limit - self.seconds.total)

    @property
    def progress(self) -> float | None:
        """How much of the query is done, 0 to 1; None where that cannot be said."""
        stream = self._stream
        return None if stream is None or self._closed else stream.progress()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the response, as far as they are known."""
        form = self.question.form
        headers = {
            "Content-Type": form.mime,
            "Content-Disposition": f'inline; filename="result.{form.extension}"',
        }
        if self.overflow is not None:
            headers["X-Cerro-Overflow"] = str(self.overflow).lower()
        return headers

    def begin(self, *, held: int = HELD) -> tuple[bytes, bool]:
        """Start the query.

        Parameters
        ----------
        held
            Bytes to collect at most before the first piece is given.

        Returns
        -------
        tuple of bytes and bool
            The beginning of the document, and whether it is the whole.

        Raises
        ------
        CerroError
            The query is wrong, or failed before anything was sent.
        """
        try:
            with self._clock("parse"):
                query = self.query = self.compiled()
            with self._clock("plan"):
                fields, batches = self._started(query)
            writer = self.question.form.writer(fields, self._frame(query, fields))
            self._pieces = pieces(batches, writer, self.question.maxrec, self.rows)
            first, whole = self._collect(held)
            if self.rows.error is not None and whole:
                raise self.rows.error
            self.overflow = self.rows.overflow if whole else self._ahead(query)
            if whole:
                self.close()
        except BaseException as error:
            self.rows.error = _failure(error, self.rows.error)
            self.close()
            raise
        return first, whole

    def compiled(self) -> Query:
        """Read the query, and the uploads that it may name.

        Raises
        ------
        CerroError
            One of them is wrong.
        """
        seen = self._views.of(self._context, self.caller)
        self._schemas = seen.schemas
        if not self.question.uploads:
            return self._views.query(seen, self.question.adql)
        limits = limits_of(self._context, self.caller)
        uploads = [load(upload, limits, self._wanted) for upload in self.question.uploads]
        catalogue = Catalogue((*seen.catalogue.tables, *uploads))
        return self._views.compiled(self.question.adql, catalogue)

    def next(self) -> bytes | None:
        """Give the next piece of the document; None after the last."""
        assert self._pieces is not None
        with self._clock("write"):
            piece = next(self._pieces, None)
        self.bytes += len(piece or b"")
        return piece

    def stop(self, *, late: bool = False, reason: CerroError | None = None) -> None:
        """Stop the query; from any thread.

        Parameters
        ----------
        late
            Whether its time is over; else nobody waits for it any more.
        reason
            Another reason.
        """
        if self._stopped is None:
            self._stopped = reason or (
                ResourceError(
                    f"The query ran longer than the {self._limit:g} seconds it may. "
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
        if self._pieces is not None:
            self._pieces.close()  # type: ignore[attr-defined]
        if self._stream is not None:
            self._stream.close()
        if self._scratch is not None:
            self._scratch.remove()
        error = self.rows.error or self._stopped
        record(
            self.question,
            self.rows,
            self.seconds,
            self.bytes,
            error,
            who=self.caller.name or "public",
            address=self.address or None,
            mode=self._mode,
            job=self._job,
        )

    # ---- inside -------------------------------------------------------------------------------

    def _frame(self, query: Query, fields: tuple[Field, ...]) -> Frame:
        settings = self._context.settings
        links = services_of(fields, self._schemas, settings.base_url)
        # A list of a million keys would be most of the document.
        asked = query.adql if len(query.adql) <= _SHOWN else query.adql[:_SHOWN] + " …"
        return Frame((("QUERY", asked),), links, settings.spill)

    def _wanted(self) -> None:
        """Raise if nobody waits any more."""
        if self._stopped is not None:
            raise self._stopped

    @contextmanager
    def _clock(self, phase: str) -> Iterator[None]:
        """Add the time of a block to a phase, less what other phases had of it."""
        started, others = time.perf_counter(), self.seconds.total
        try:
            yield
        finally:
            spent = time.perf_counter() - started - (self.seconds.total - others)
            setattr(self.seconds, phase, getattr(self.seconds, phase) + spent)

    def _started(self, query: Query) -> tuple[tuple[Field, ...], Iterator[pa.RecordBatch]]:
        """Run the query until it gives rows, and describe its columns."""
        maxrec = self.question.maxrec
        # Nobody waits for rows that are not asked for (DALI §3.4.4); there may always be some.
        self.rows.overflow = maxrec == 0
        self._stream = self._context.engine.stream(query, limit=maxrec + 1 if maxrec else 0)
        self._wanted()
        fields = describe(query.columns, self._stream.begin())
        return settled(self.question.form, fields, self._batches(self._stream))

    def _batches(self, stream: Stream) -> Iterator[pa.RecordBatch]:
        rows = iter(stream)
        while True:
            with self._clock("execute"):
                batch = next(rows, None)
            if batch is None:
                return
            yield batch

    def _collect(self, held: int) -> tuple[bytes, bool]:
        """Write until the document ends, is long enough, or its rows come slowly."""
        parts: list[bytes] = []
        until = None
        try:
            while (piece := self.next()) is not None:
                parts.append(piece)
                if not piece:
                    continue
                until = until or time.monotonic() + PATIENCE
                if self.bytes > held or time.monotonic() > until:
                    return b"".join(parts), False
        except ConnectionAbortedError:
            # Nothing is sent yet, so the error can still be told as what it is.
            if self.rows.error is not None:
                raise self.rows.error from None
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts), True

    def _ahead(self, query: Query) -> bool | None:
        """Find out before the first byte whether rows will be missing, if only a header tells."""
        maxrec = self.question.maxrec
        if self.question.form.marks_overflow or self._mode == "async":
            return None
        if query.top is not None and query.top <= maxrec:
            return False
        with self._clock("execute"):
            stream = self._context.engine.stream(query.counted(maxrec + 1))
            try:
                return any(batch.column(0)[0].as_py() > maxrec for batch in stream)
            finally:
                stream.close()


def _failure(error: BaseException, known: CerroError | None) -> CerroError | None:
    if isinstance(error, CerroError):
        return error
    return known or CerroError(f"{type(error).__name__}: {error}")
