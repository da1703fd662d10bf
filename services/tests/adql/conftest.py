"""What answers queries on any catalogue."""

from __future__ import annotations

import pyarrow as pa
import pytest
from services.tests.answering import answered

from cerro_services.adql import Catalogue, compile_query
from cerro_services.engine import DuckDBEngine

from .tables import Answer


@pytest.fixture(scope="session")
def answer(engine: DuckDBEngine) -> Answer:
    """Give a function that answers ADQL; not pruned, it reads all rows of every table."""

    def run(adql: str, catalogue: Catalogue, *, pruned: bool = True) -> pa.Table:
        query = compile_query(adql, catalogue)
        if not pruned:
            for scan in query.scans:
                scan.regions.clear()
                scan.equals.clear()
                scan.near.clear()
                scan.joined.clear()
                scan.any_rows = False
        return answered(engine, query)

    return run
