"""The engine: nothing but the releases' tables can be reached; rows stream; queries stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from cerro_services.adql import AdqlError, Catalogue, QueryTable, compile_query
from cerro_services.engine import (
    DuckDBEngine,
    EngineError,
    Limits,
    QueryCancelledError,
    QueryRefusedError,
    ResourceError,
)
from cerro_services.engine.duckdb import BATCH_ROWS
from cerro_services.release import Column, ReleaseStore
from cerro_services.release.model import TableModel

ATTACKS = [
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    'SELECT * FROM "{root}/sky/current"',
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_parquet('{root}/closed/versions/1/catalogs/T/**')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM closed.T",
    "SELECT * FROM sky.Secret",
    "SELECT word FROM Secret",
    "SELECT getenv('HOME') FROM sky.Visit",
    "SELECT current_setting('temp_directory') FROM sky.Visit",
    "SELECT version() FROM sky.Visit",
    "SELECT query('SELECT 1') FROM sky.Visit",
    "SELECT _healpix_29 FROM sky.Object",
    'SELECT "_healpix_29" FROM sky.Object',
    'SELECT t0."ra" FROM sky.Object',
    "SELECT file_row_number FROM sky.Object",
    "SELECT filename FROM sky.Object",
    "SELECT rowid FROM sky.Object",
    "SELECT COLUMNS('.*') FROM sky.Object",
    "ATTACH '/tmp/x.db'",
    "COPY sky.Object TO '/tmp/x'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 64",
    "PRAGMA database_size",
    "EXPORT DATABASE '/tmp/x'",
    "SELECT 1 FROM sky.Visit; SELECT 2 FROM sky.Visit",
    "SELECT 1 FROM sky.Visit UNION SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM sky.Visit WHERE visit IN (SELECT * FROM read_csv('/etc/passwd'))",
    'SELECT visit AS "a"" FROM read_csv(\'/etc/passwd\') --" FROM sky.Visit ORDER BY x',
    "SELECT visit FROM sky.Visit AS v, LATERAL read_csv(v.band)",
    "SELECT \x000\x00 FROM sky.Visit",
]


@pytest.mark.req("TAP-9")
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_but_the_tables_of_the_model_can_be_named(
    ask: Callable[[str], pa.Table], store: ReleaseStore, attack: str
) -> None:
    with pytest.raises(AdqlError):
        ask(attack.format(root=store.root))


@pytest.mark.req("TAP-9")
@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE x; --",
        "' OR 1=1 --",
        "\\",
        "\\'",
        "*/",
        "{}",
        "%s",
        "''",
        "é\u2028日本",
        "\n",
    ],
)
def test_what_a_query_quotes_stays_text(ask: Callable[[str], pa.Table], text: str) -> None:
    quoted = text.replace("'", "''")
    name = text.replace('"', '""')
    table = ask(f"SELECT TOP 1 '{quoted}' AS \"{name}\" FROM sky.Visit")
    assert table.column_names == [text]
    assert table.column(0).to_pylist() == [text]


@pytest.mark.req("TAP-9")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{spill}/../secret')",
        "ATTACH '/tmp/cerro_attack.db'",
        "COPY (SELECT 1) TO '/tmp/cerro_attack.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET threads = 9",
        "SET timezone = 'Asia/Tokyo'",
    ],
)
def test_the_database_itself_opens_nothing_else(
    engine: DuckDBEngine, catalogue: Catalogue, sql: str, tmp_path: Path
) -> None:
    query = compile_query("SELECT visit FROM sky.Visit", catalogue)
    forged = replace(query, template=sql.format(spill=tmp_path), scans=())
    with pytest.raises(EngineError):
        engine.stream(forged).begin()
    # Below the check for SELECT the settings refuse it as well.
    with pytest.raises(duckdb.Error):
        engine._wide.cursor().execute(sql.format(spill=tmp_path)).fetchall()
    with pytest.raises(duckdb.Error):
        engine._little.cursor().execute(sql.format(spill=tmp_path)).fetchall()


@pytest.mark.req("TAP-9")
def test_more_than_one_statement_is_never_run(engine: DuckDBEngine, catalogue: Catalogue) -> None:
    query = compile_query("SELECT visit FROM sky.Visit", catalogue)
    with pytest.raises(EngineError, match="one SELECT"):
        engine.stream(replace(query, template=f"{query.template}; SELECT 1")).begin()


@pytest.fixture
def long_table() -> Catalogue:
    """Give a catalogue with a table in memory whose product with itself takes long."""
    rows = pa.table({"a": pa.array(range(3_000_000), pa.int64())})
    model = TableModel("numbers", (Column("a", "long"),))
    return Catalogue((QueryTable("mem", model, rows),))


@pytest.mark.req("TAP-10")
def test_the_first_rows_come_before_the_last_are_read(
    engine: DuckDBEngine, long_table: Catalogue
) -> None:
    # Nine million million rows: whoever reads them all first never gives one.
    query = compile_query("SELECT x.a, y.a FROM mem.numbers x, mem.numbers y", long_table)
    stream = engine.stream(query)
    batch = next(iter(stream))
    assert 0 < batch.num_rows <= BATCH_ROWS
    stream.cancel()
    stream.close()


@pytest.mark.req("TAP-10")
def test_a_cancelled_query_stops_at_once(engine: DuckDBEngine, long_table: Catalogue) -> None:
    query = compile_query(
        "SELECT COUNT(*) FROM mem.numbers x, mem.numbers y WHERE MOD(x.a * y.a, 7) = 8", long_table
    )
    stream = engine.stream(query)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            list(stream)
        except QueryCancelledError as error:
            failed.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(0.3)
    assert worker.is_alive()
    stream.cancel()
    worker.join(10)
    assert len(failed) == 1
    stream.close()
    stream.cancel()


@pytest.mark.req("TAP-10")
def test_a_query_that_is_stopped_before_it_runs_never_runs(
    engine: DuckDBEngine, catalogue: Catalogue
) -> None:
    stream = engine.stream(compile_query("SELECT visit FROM sky.Visit", catalogue))
    stream.cancel()
    with pytest.raises(QueryCancelledError):
        stream.begin()
    stream.close()


@pytest.mark.req("TAP-8")
def test_a_query_beyond_its_memory_is_told_what_to_do(
    long_table: Catalogue, tmp_path: Path
) -> None:
    small = DuckDBEngine([tmp_path], Limits("40MB", 2, None))
    query = compile_query(
        "SELECT x.a FROM mem.numbers x, mem.numbers y ORDER BY SIN(x.a * y.a)", long_table
    )
    with pytest.raises(ResourceError, match="needs more memory and disk"):
        list(small.stream(query))
    small.close()


@pytest.mark.req("TAP-1")
def test_a_query_larger_than_its_memory_spills(long_table: Catalogue, tmp_path: Path) -> None:
    small = DuckDBEngine([tmp_path / "none"], Limits("60MB", 2, tmp_path / "spill"))
    query = compile_query("SELECT a, SIN(a) AS s FROM mem.numbers ORDER BY SIN(a)", long_table)
    rows = spilled = 0
    for batch in small.stream(query):
        rows += batch.num_rows
        spilled += any((tmp_path / "spill").rglob("*.tmp"))
    assert rows == 3_000_000
    assert spilled
    small.close()
    assert not any((tmp_path / "spill").rglob("*.tmp"))


@pytest.mark.req("TAP-8")
def test_a_value_that_does_not_fit_is_the_query_s_fault(
    engine: DuckDBEngine, catalogue: Catalogue
) -> None:
    query = compile_query("SELECT CAST(band AS BIGINT) FROM sky.Visit", catalogue)
    with pytest.raises(QueryRefusedError, match="'g'"):
        list(engine.stream(query))


@pytest.mark.req("TAP-8")
def test_a_damaged_file_is_told_without_its_path(
    store: ReleaseStore, catalogue: Catalogue, tmp_path: Path
) -> None:
    from cerro_services.release import Catalog

    table = catalogue.tables[0]
    assert isinstance(table.stored, Catalog)
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 no parquet at all PAR1")
    files = (replace(table.stored.files[0], path=bad),)
    damaged = Catalogue((replace(table, stored=replace(table.stored, files=files)),))
    engine = DuckDBEngine([tmp_path])
    with pytest.raises(EngineError) as caught:
        list(engine.stream(compile_query("SELECT ra FROM sky.Object", damaged)))
    assert str(tmp_path) not in caught.value.message
    assert "sky.Object could not be read" in caught.value.message
    engine.close()
