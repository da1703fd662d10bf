"""The rows that an engine gives for a query."""

from __future__ import annotations

import pyarrow as pa

from cerro_services.adql import Query
from cerro_services.engine import DuckDBEngine


def answered(engine: DuckDBEngine, query: Query) -> pa.Table:
    """Give the answer to a query, named as the query names its columns."""
    stream = engine.stream(query)
    try:
        schema = stream.begin()
        table = pa.Table.from_batches(list(stream), schema)
    finally:
        stream.close()
    return table.rename_columns([column.name for column in query.columns])
