"""Two engines behind one: short queries near, long ones far.

A cluster takes half a second to begin what the service itself answers in ten milliseconds, and
scans in seconds what would take it minutes.
"""

from __future__ import annotations

from collections.abc import Iterable

from cerro_services.adql import Query
from cerro_services.engine.base import Engine, Estimate, Stream
from cerro_services.release import Catalog


class TieredEngine:
    """Sends each query to one of two engines, by how many rows it reads.

    Parameters
    ----------
    near
        Answers queries that read little.
    far
        Answers the others.
    rows
        Rows read from which on a query is sent far.
    """

    def __init__(self, near: Engine, far: Engine, rows: int) -> None:
        self._near, self._far, self._rows = near, far, rows

    def stream(self, query: Query, *, limit: int | None = None) -> Stream:
        """Give the rows of a query; see `cerro_services.engine.base.Engine.stream`."""
        return self.choose(query, limit).stream(query, limit=limit)

    def estimate(self, query: Query, *, limit: int | None = None) -> Estimate:
        """Say what a query would read; see `cerro_services.engine.base.Engine.estimate`."""
        return self.choose(query, limit).estimate(query, limit=limit)

    def choose(self, query: Query, limit: int | None) -> Engine:
        """Give the engine that answers a query.

        Parameters
        ----------
        query
            The query.
        limit
            Number of rows to stop after.
        """
        read = self._near.estimate(query, limit=limit).rows_read
        return self._far if read >= self._rows else self._near

    def warm(self, catalogs: Iterable[Catalog] = ()) -> None:
        """Load what the first query would otherwise wait for."""
        self._near.warm(catalogs)
        self._far.warm()

    def close(self) -> None:
        """Stop all queries and give everything back."""
        self._near.close()
        self._far.close()
