"""The engine on a Spark cluster: what it is told, and how it stops, fails and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from services.tests.serving import running
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.adql import Catalogue, compile_query
from cerro_services.config import Settings
from cerro_services.engine import (
    DuckDBEngine,
    EngineError,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
)
from cerro_services.engine.spark import SparkEngine
from cerro_services.engine.sparkerrors import explained
from cerro_services.engine.sparkplan import spark_type
from cerro_services.engine.sparksql import read, written
from cerro_services.engine.tiered import TieredEngine
from cerro_services.release import ReleaseStore

from . import conformance
from .cluster import URL, has_client, on_spark


@pytest.fixture(scope="module")
def spark(store: ReleaseStore) -> Iterator[SparkEngine]:
    assert URL is not None
    engine = SparkEngine(URL, store.root)
    yield engine
    engine.close()


@pytest.mark.req("DIST-4")
def test_a_function_that_spark_lacks_is_refused_by_name() -> None:
    with pytest.raises(QueryRefusedError, match="list_zip is not offered by Spark"):
        read("SELECT list_zip([1], [2])")


@pytest.mark.req("DIST-4")
def test_a_query_that_doubles_itself_is_refused() -> None:
    nested = "x"
    for _ in range(40):
        nested = f"(1e0 / {nested})"
    with pytest.raises(QueryRefusedError, match="too long"):
        written(read(f"SELECT {nested} FROM s0")[0])


@pytest.mark.req("DIST-4")
def test_a_type_that_spark_lacks_is_named() -> None:
    with pytest.raises(EngineError, match="time64"):
        spark_type(pa.time64("us"))


@pytest.mark.req("DIST-4")
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Total size of serialized results (1.1 GiB) is bigger than spark.driver.maxResultSize",
         ResourceError),
        ("Job aborted: java.lang.OutOfMemoryError: Java heap space", ResourceError),
        ("[CAST_INVALID_INPUT] The value 'x' cannot be cast. SQLSTATE: 22018", QueryRefusedError),
        ("[DATATYPE_MISMATCH] Cannot resolve it. SQLSTATE: 42K09", QueryRefusedError),
        ("[OPERATION_CANCELED] Operation has been canceled. SQLSTATE: HY008", QueryCancelledError),
        ("File file:/a/b.parquet does not exist", EngineError),
    ],
)  # fmt: skip
def test_failures_of_spark_are_told_as_the_engine_s(
    text: str, kind: type[Exception], catalogue: Catalogue
) -> None:
    told = explained(RuntimeError(text), compile_query("SELECT ra FROM Object", catalogue))
    assert type(told) is kind
    assert "SQLSTATE" not in told.message
    assert "/a/b" not in told.message


@pytest.mark.req("DIST-2")
def test_short_queries_stay_near(
    engine: DuckDBEngine, store: ReleaseStore, catalogue: Catalogue
) -> None:
    far = DuckDBEngine([store.root])
    tiered = TieredEngine(engine, far, 1_000)
    scan = compile_query("SELECT AVG(ra) FROM Object", catalogue)
    lookup = compile_query("SELECT band FROM Visit", catalogue)
    assert tiered.choose(scan, None) is far
    assert tiered.choose(lookup, None) is engine
    assert tiered.estimate(scan).rows_read == 30_000
    stream = tiered.stream(lookup)
    assert sum(batch.num_rows for batch in stream) == 5
    stream.close()
    far.close()


@pytest.mark.req("DIST-5")
@has_client
def test_a_cluster_that_is_away_is_told(store: ReleaseStore, catalogue: Catalogue) -> None:
    engine = SparkEngine(f"sc://127.0.0.1:{free_port()}", store.root)
    stream = engine.stream(compile_query("SELECT band FROM Visit", catalogue))
    with pytest.raises(EngineError, match="cluster cannot be reached"):
        stream.begin()
    stream.close()
    engine.close()


@pytest.mark.req("DIST-2")
@has_client
def test_a_cone_names_only_its_files_and_cells(store: ReleaseStore, catalogue: Catalogue) -> None:
    engine = SparkEngine("sc://nowhere", store.root, "s3a://releases")
    cone = "SELECT ra FROM Object WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(90, 30, 0.1))"
    query = compile_query(cone, catalogue)
    made, _, own = engine.prepare(query, None)
    assert own is None
    source = made.root.with_relations.references[0].subquery_alias.input
    assert "_healpix_29" in source.filter.condition.expression_string.expression
    files = source.filter.input.read.data_source
    assert files.schema == "`ra` DOUBLE, `dec` DOUBLE, `_healpix_29` BIGINT"
    stored = {p.path.relative_to(store.root) for p in query.scans[0].table.stored.files}
    named = {Path(path.removeprefix("s3a://releases/")) for path in files.paths}
    assert named
    assert named < {Path(*_resolved(store.root / path, store.root).parts) for path in stored}
    engine.close()


def _resolved(path: Path, root: Path) -> Path:
    return path.resolve().relative_to(root.resolve())


@on_spark
@pytest.mark.req("DIST-3")
def test_a_cancelled_query_leaves_the_cluster_free(
    spark: SparkEngine, catalogue: Catalogue
) -> None:
    # Far more pairs than two cores compare in the time a test may take.
    endless = "SELECT COUNT(*) FROM Object AS a, Object AS b, Object AS c WHERE a.ra+b.ra+c.ra<1e-9"
    streams = [spark.stream(compile_query(endless, catalogue)) for _ in range(2)]
    told: list[BaseException] = []

    def begin(number: int) -> None:
        try:
            streams[number].begin()
        except Exception as error:
            told.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(2)]
    threads[0].start()
    eventually(lambda: streams[0].progress() is not None, "the first runs")
    # The other finds no core free, and may not have reached the cluster when it is stopped.
    threads[1].start()
    streams[0].cancel(ResourceError("Its time is over."))
    streams[1].cancel()
    for thread in threads:
        thread.join()
    assert sorted(type(error).__name__ for error in told) == [
        "QueryCancelledError", "ResourceError",
    ]  # fmt: skip
    for stream in streams:
        stream.close()
    ask = conformance.asker(spark, catalogue)
    assert ask("SELECT COUNT(*) FROM Object").column(0).to_pylist() == [30_000]


@on_spark
@pytest.mark.req("DIST-3")
def test_whoever_leaves_early_stops_the_query(spark: SparkEngine, catalogue: Catalogue) -> None:
    wide = "SELECT a.ra, b.mjd, a.kind FROM Object AS a, Source AS b WHERE b.sourceId < 100"
    stream = spark.stream(compile_query(wide, catalogue))
    stream.begin()
    assert next(iter(stream)).num_rows
    stream.close()
    ask = conformance.asker(spark, catalogue)
    assert ask("SELECT COUNT(*) FROM Visit").column(0).to_pylist() == [5]


@on_spark
@pytest.mark.req("DIST-3")
def test_a_query_cancelled_before_it_begins_never_runs(
    spark: SparkEngine, catalogue: Catalogue
) -> None:
    stream = spark.stream(compile_query("SELECT band FROM Visit", catalogue))
    stream.cancel()
    with pytest.raises(QueryCancelledError):
        stream.begin()
    stream.close()


REFUSED = (
    "SELECT CAST(kind AS INTEGER) FROM Object",
    "SELECT objectId * 100 FROM Object",
    "SELECT CAST(ra * 1e30 AS BIGINT) FROM Object",
    "SELECT SUM(objectId * 7) FROM Object",
)


@on_spark
@pytest.mark.req("DIST-4")
@pytest.mark.parametrize("adql", REFUSED)
def test_what_one_engine_refuses_the_other_refuses(
    adql: str, spark: SparkEngine, engine: DuckDBEngine, catalogue: Catalogue
) -> None:
    for each in (engine, spark):
        with pytest.raises(QueryRefusedError) as told:
            conformance.asker(each, catalogue)(adql)
        assert "spark." not in told.value.message


@on_spark
@pytest.mark.req("DIST-5")
def test_a_session_that_the_server_forgot_is_begun_anew(
    spark: SparkEngine, catalogue: Catalogue
) -> None:
    ask = conformance.asker(spark, catalogue)
    ask("SELECT band FROM Visit")
    spark.session().close()
    assert ask("SELECT band FROM Visit").num_rows == 5


@on_spark
@pytest.mark.req("DIST-1")
def test_a_large_table_in_memory_is_sent_in_pieces(
    spark: SparkEngine, catalogue: Catalogue, rows: dict[str, pa.Table]
) -> None:
    many = conformance.with_places(catalogue, rows)
    table = many.tables[-1]
    repeated = pa.concat_tables([table.stored] * 400)
    large = Catalogue((*catalogue.tables, type(table)("big", table.model, repeated)))
    found = conformance.asker(spark, large)("SELECT COUNT(*), SUM(id), COUNT(name) FROM big.places")
    counts = [400 * n for n in (500, sum(range(500)), 500 - 56)]
    assert [column[0].as_py() for column in found.columns] == counts


@on_spark
@pytest.mark.req("DIST-1")
def test_tap_answers_from_the_cluster(
    store: ReleaseStore, tmp_path: Path, rows: dict[str, pa.Table]
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path, releases=store.root, external_url=f"http://127.0.0.1:{port}",
        engine="spark", spark_url=URL, spark_from=1_000, memory="500MB", threads=1,
    )  # fmt: skip
    adql = "SELECT COUNT(*) AS many, AVG(ra) AS middle FROM Object WHERE n = 3"
    with running(settings, port):
        answer = httpx.get(
            f"http://127.0.0.1:{port}/api/tap/sync",
            params={"LANG": "ADQL", "QUERY": adql, "FORMAT": "csv"},
            timeout=120,
        )
    assert answer.status_code == 200
    expected = (rows["Object"]["n"].to_numpy(zero_copy_only=False) == 3).sum()
    assert answer.text.startswith(f"many,middle\r\n{expected},")
