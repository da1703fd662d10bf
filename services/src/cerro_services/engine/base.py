"""What runs a query: the seam between ADQL and a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from cerro_services.adql import Query
from cerro_services.errors import CerroError
from cerro_services.release import Catalog


class EngineError(CerroError, code="engine_error", status=500):
    """The data of a release could not be read, or the engine failed."""


class QueryRefusedError(CerroError, code="query_error", status=400):
    """The engine found a value or a type that does not fit while the query ran."""


class ResourceError(CerroError, code="resource_error", status=400):
    """The query needs more memory, disk or time than it may have."""


class QueryCancelledError(CerroError, code="cancelled", status=499):
    """The query was stopped."""


@dataclass(frozen=True)
class Estimate:
    """What a query would read; from the layout of the tables, without reading any.

    Parameters
    ----------
    rows_read
        About how many rows of stored tables are read, whether or not they fit.
    bytes_read
        About how many bytes the columns that are read take on disk.
    seconds
        About how long reading takes where nothing else runs; joins and sorting come on top.
    """

    rows_read: int
    bytes_read: int
    seconds: float


class Stream(Protocol):
    """The rows of a query.

    Beginning and iterating raise `EngineError`, `QueryRefusedError`, `ResourceError` or
    `QueryCancelledError`.
    """

    def begin(self) -> pa.Schema:
        """Run the query until it gives its first rows, and say of what types they are."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Give batches of rows as they come."""

    def cancel(self, reason: CerroError | None = None) -> None:
        """Stop the query, begun or not; from any thread, and as often as one likes.

        Parameters
        ----------
        reason
            What whoever reads the rows is told; by default that the query was stopped.
        """

    def progress(self) -> float | None:
        """Say how much of the query is done; from any thread.

        Returns
        -------
        float or None
            0 to 1; None where it cannot be said, as before the query runs.
        """

    def close(self) -> None:
        """Give back what the query holds."""


class Engine(Protocol):
    """Something that runs queries."""

    def stream(self, query: Query, *, limit: int | None = None) -> Stream:
        """Give the rows of a query, which runs when they are asked for.

        Parameters
        ----------
        query
            The query.
        limit
            Number of rows to stop after.

        Returns
        -------
        Stream
            Its rows; the first can be had before the last is read. Close it in any case.
        """

    def estimate(self, query: Query, *, limit: int | None = None) -> Estimate:
        """Say what a query would read, without running it.

        Parameters
        ----------
        query
            The query.
        limit
            Number of rows to stop after.
        """

    def warm(self, catalogs: Iterable[Catalog] = ()) -> None:
        """Load what the first query would otherwise wait for.

        Parameters
        ----------
        catalogs
            Tables of which to learn where their rows lie.
        """

    def close(self) -> None:
        """Stop all queries and give everything back."""
