"""Spark over the same releases, for those who outgrow one machine.

The service holds no JVM: it speaks Spark Connect (gRPC) with a cluster that runs elsewhere and
sees the same files. A query is one message: its SQL in Spark's dialect, the files and cells that
each scan reads (pruned here, as for DuckDB), the rows of tables in memory. The answer comes back
as Arrow.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from cerro_services.adql import Query, Scan
from cerro_services.engine.base import EngineError, Estimate, QueryCancelledError, Stream
from cerro_services.engine.coverage import cover_circles, merge, warm
from cerro_services.engine.reading import Reading, plan
from cerro_services.engine.sparkerrors import explained, is_lost
from cerro_services.engine.sparkplan import relation
from cerro_services.engine.sparksession import Session
from cerro_services.engine.sparksql import read, written
from cerro_services.errors import CerroError
from cerro_services.objects import CachedPath
from cerro_services.release import Catalog

log = logging.getLogger(__name__)

_LARGE = 4 << 20
"""Bytes of a plan beyond which its tables in memory are sent apart, in a session of their own."""

_RANGES = 512
"""Ranges of cells that the positions of an upload become, to choose files and row groups by."""
_STARTING, _RATE = 0.5, 100e6
"""Seconds that any query takes, and bytes of stored columns that one core reads in a second."""


class SparkEngine:
    """Runs queries on a Spark cluster.

    Parameters
    ----------
    url
        Address of its Spark Connect server: ``sc://host:15002``, with ``;use_ssl=true`` and
        ``;token=…`` after ``/`` where a proxy in front of it asks for them.
    releases
        The release store as the service sees it.
    seen_as
        The release store as the cluster sees it, a folder or ``s3a://…``; None if it is the same.
    cores
        Cores that the cluster has for these queries, to estimate how long one takes.
    mirrors
        Folders in which buckets are mirrored; the cluster reads these as s3a://….

    Raises
    ------
    EngineError
        The client of Spark is not installed.
    """

    def __init__(
        self,
        url: str,
        releases: Path,
        seen_as: str | None = None,
        cores: int = 8,
        mirrors: Sequence[CachedPath] = (),
    ) -> None:
        self._url = url
        self._releases = releases.resolve()
        self._seen_as = (seen_as or str(self._releases)).rstrip("/")
        self._rate = _RATE * cores
        self._session: Session | None = None
        self._lock = threading.Lock()
        self._interrupts = ThreadPoolExecutor(4, thread_name_prefix="spark-interrupt")
        self._indexes = duckdb.connect(":memory:")
        if mirrors:
            from cerro_services.engine.remote import RemoteScans

            self._indexes.register_filesystem(RemoteScans(mirrors))
        Session.check()

    def stream(self, query: Query, *, limit: int | None = None) -> Stream:
        """Give the rows of a query; see `cerro_services.engine.base.Engine.stream`."""
        return _SparkStream(self, query, limit)

    def estimate(self, query: Query, *, limit: int | None = None) -> Estimate:
        """Say what a query would read; see `cerro_services.engine.base.Engine.estimate`."""
        needed = query.needed(limit)
        readings = [plan(scan, needed, self._fetch) for scan in query.scans]
        size = sum(reading.bytes for reading in readings)
        return Estimate(
            sum(reading.rows for reading in readings), size, _STARTING + size / self._rate
        )

    def warm(self, catalogs: Iterable[Catalog] = ()) -> None:
        """Load what the first query would otherwise wait for; the cluster may come later."""
        del catalogs
        warm()
        try:
            self.session()
        except CerroError as error:
            log.warning("%s", error)

    def close(self) -> None:
        """Stop all queries and leave the cluster."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()
        self._interrupts.shutdown(wait=False, cancel_futures=True)
        self._indexes.close()

    def session(self, lost: Session | None = None) -> Session:
        """Give the session that queries share.

        Parameters
        ----------
        lost
            A session that the cluster no longer knows; another is begun in its place.
        """
        with self._lock:
            if self._session is None or self._session is lost:
                self._session = Session(self._url)
            return self._session

    def prepare(
        self, query: Query, limit: int | None
    ) -> tuple[Any, frozenset[str], Session | None]:
        """Write the plan of a query.

        Returns
        -------
        tuple of message, frozenset of str and Session
            The plan, the kernels that it calls, and a session of its own if it has much to send.
        """
        needed = query.needed(limit)
        readings = [_beside(scan, plan(scan, needed, self._fetch)) for scan in query.scans]
        template = query.sql(lambda scan: f"s{scan.number}", limit=limit, zones=True, lists=False)
        tree, kernels = read(template)
        sql = written(tree)
        made = relation(Session.messages(), query, sql, readings, self._located)
        own = Session(self._url) if made.ByteSize() > _LARGE else None
        if own is not None:
            own.send_apart(made)
        return made, kernels, own

    def interrupt(self, stop: Any) -> None:
        """Run what stops a query, apart from whoever asks for it."""
        self._interrupts.submit(stop)

    def _located(self, path: Path) -> str:
        if isinstance(path, CachedPath):
            # Hadoop's name for the scheme.
            return path.place.replace("s3://", "s3a://", 1)
        path = path.resolve()
        if path.is_relative_to(self._releases):
            return f"{self._seen_as}/{path.relative_to(self._releases).as_posix()}"
        return str(path)

    def _fetch(self, sql: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Look cells up in an index beside the files, which is small enough for the service."""
        with self._indexes.cursor() as cursor:
            (cells,) = cursor.execute(sql).fetchnumpy().values()
        return np.asarray(cells, np.int64)


class _SparkStream:
    """The rows of one query."""

    def __init__(self, engine: SparkEngine, query: Query, limit: int | None) -> None:
        self._engine = engine
        self._query = query
        self._limit = limit
        self._tag = f"cerro-{uuid.uuid4()}"
        self._session: Session | None = None
        self._own: Session | None = None
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._first: pa.RecordBatch | None = None
        self._schema: pa.Schema | None = None
        self._reason: CerroError | None = None
        self._over = threading.Event()
        self._closed = False
        self._fraction: float | None = None

    def begin(self) -> pa.Schema:
        with self._failures():
            made, kernels, self._own = self._engine.prepare(self._query, self._limit)
            session = self._own or self._engine.session()
            try:
                self._start(session, made, kernels)
            except Exception as error:
                if self._own is not None or not is_lost(error):
                    raise
                # The server was started anew, or has forgotten a session that slept for an hour.
                self._start(self._engine.session(session), made, kernels)
        assert self._schema is not None
        return self._schema

    def _start(self, session: Session, made: Any, kernels: frozenset[str]) -> None:
        self._session = session
        if self._reason is not None:
            raise self._reason
        session.offer(kernels)
        batches = session.run(made, self._tag, self._advance)
        self._first = next(batches, None)
        self._batches = batches
        if self._first is None:
            raise EngineError("Spark ended without an answer.")
        self._schema = self._first.schema.remove_metadata()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self._batches is None:
            self.begin()
        assert self._batches is not None
        assert self._schema is not None
        batch, self._first = self._first, None
        while True:
            if batch is not None and batch.num_rows:
                yield batch.cast(self._schema)
            with self._failures():
                batch = next(self._batches, None)
            if batch is None:
                self._over.set()
                return

    def cancel(self, reason: CerroError | None = None) -> None:
        first = self._reason is None
        self._reason = self._reason or reason or QueryCancelledError("The query was stopped.")
        if first and not self._over.is_set():
            self._engine.interrupt(self._interrupt)

    def progress(self) -> float | None:
        return self._fraction

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._batches is not None and not self._over.is_set():
            # Whoever leaves early stops the query, which would run on without a reader.
            self._reason = self._reason or QueryCancelledError("The query was stopped.")
            self._engine.interrupt(self._interrupt)
        elif self._own is not None:
            self._engine.interrupt(self._own.close)

    def _interrupt(self) -> None:
        """Stop the query on the cluster; it may not have got there yet."""
        for _ in range(100):
            session = self._session
            if self._over.is_set() or (session is not None and session.interrupt(self._tag)):
                break
            self._over.wait(0.1)
        if self._closed and self._own is not None:
            self._own.close()

    def _advance(self, fraction: float) -> None:
        # Stages become known one after the other; what was said once is not taken back.
        self._fraction = max(self._fraction or 0.0, fraction)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Tell the failures of the cluster as errors of the engine."""
        if self._reason is not None:
            self._over.set()
            raise self._reason
        try:
            yield
        except CerroError:
            self._over.set()
            raise
        except Exception as error:
            self._over.set()
            if self._reason is not None:
                raise self._reason from None
            raise explained(error, self._query) from error


def _beside(scan: Scan, reading: Reading) -> Reading:
    """Read of a table only where rows of a table in memory lie that it is joined to."""
    stored = scan.table.stored
    if reading.ranges is not None or not isinstance(stored, Catalog) or not stored.is_spatial:
        return reading
    for beside, radius in scan.near:
        rows, model = beside.table.stored, beside.table.model
        if not isinstance(rows, pa.Table) or not (model.ra and model.dec):
            continue
        lon, lat = (
            np.asarray(rows.column(name).cast(pa.float64()).fill_null(np.nan))
            for name in (model.ra, model.dec)
        )
        ranges = cover_circles(lon, lat, radius)
        if ranges is not None:
            ranges = merge(ranges, _RANGES)
            paths = stored.files_for(ranges) or (stored.files[0].path,)
            return replace(reading, paths=paths, ranges=ranges)
    return reading
