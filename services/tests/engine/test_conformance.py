"""Every engine gives the answers that are written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from cerro_services.adql import Catalogue
from cerro_services.engine import DuckDBEngine
from cerro_services.engine.spark import SparkEngine
from cerro_services.release import ReleaseStore

from . import conformance
from .cluster import URL, on_spark

CASES = [pytest.param(case, id=case.name) for case in conformance.cases()]


@pytest.fixture(scope="module")
def places(catalogue: Catalogue, rows: dict[str, pa.Table]) -> Catalogue:
    return conformance.with_places(catalogue, rows)


@pytest.fixture(scope="module")
def spark(store: ReleaseStore) -> Iterator[SparkEngine]:
    assert URL is not None
    engine = SparkEngine(URL, store.root)
    yield engine
    engine.close()


def _check(case: conformance.Case, ask: Callable[[str], pa.Table]) -> None:
    found = conformance.summary(ask(case.adql), ordered=case.ordered)
    expected = conformance.answers()[case.name]
    assert not conformance.differences(found, expected)


@pytest.mark.req("DIST-1")
@pytest.mark.parametrize("case", CASES)
def test_duckdb_gives_the_answer(
    case: conformance.Case, engine: DuckDBEngine, places: Catalogue
) -> None:
    _check(case, conformance.asker(engine, places))


@on_spark
@pytest.mark.req("DIST-1")
@pytest.mark.parametrize("case", CASES)
def test_spark_gives_the_answer(
    case: conformance.Case, spark: SparkEngine, places: Catalogue
) -> None:
    _check(case, conformance.asker(spark, places))


@pytest.mark.req("DIST-1")
def test_every_answer_belongs_to_a_query() -> None:
    assert conformance.answers().keys() == {case.name for case in conformance.cases()}
    assert len(CASES) >= 60


@pytest.mark.req("DIST-1")
def test_a_wrong_answer_is_noticed() -> None:
    table = pa.table({"a": [1.0, 2.0, None], "b": ["x", "y", "z"]})
    summary = conformance.summary(table, ordered=False)
    mixed = conformance.summary(table.take([2, 0, 1]), ordered=False)
    assert not conformance.differences(summary, mixed)
    assert conformance.differences(summary, conformance.summary(table.slice(1), ordered=False))
    other = table.set_column(0, "a", pa.array([1.0, 2.0001, None]))
    assert conformance.differences(summary, conformance.summary(other, ordered=False))
    assert conformance.differences(
        conformance.summary(table, ordered=True),
        conformance.summary(table.take([1, 0, 2]), ordered=True),
    )
