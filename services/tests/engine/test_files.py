"""Files of another layout or damaged, and what a query is told to cost and did."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from services.tests.engine.stored import QUERIES, STARS, Sky

from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine, EngineError, Limits, ResourceError
from cerro_services.engine.mapped import MappedFile
from cerro_services.release.hats import Catalog, Partition


@pytest.mark.req("ENG-6")
@pytest.mark.parametrize("name", ["a circle", "a key", "some keys", "an upload's positions"])
def test_files_of_the_first_layout_are_read_too(sky: Sky, tmp_path: Path, name: str) -> None:
    """Several pages in a row group, everything compressed, and no note of the order."""
    older = []
    for table in sky.stored.tables:
        if isinstance(table.stored, Catalog):
            shutil.copytree(table.stored.root, tmp_path / table.model.name)
            for path in (tmp_path / table.model.name).rglob("*.parquet"):
                rows = parquet.read_table(path, partitioning=None).replace_schema_metadata(None)
                parquet.write_table(rows, path, row_group_size=512)
        older.append(_moved(table, tmp_path))
    # Rewritten, they have another size, and no order was noted then.
    for number, table in enumerate(older):
        if isinstance(table.stored, Catalog):
            files = tuple(replace(f, size=0) for f in table.stored.files)
            plain = Catalog(table.stored.root, files, table.stored.indexes)
            older[number] = QueryTable(table.schema, table.model, plain)
    engine = DuckDBEngine([tmp_path])
    mine = Sky(engine, Catalogue(tuple(older)), sky.held, tmp_path)
    assert mine.rows(QUERIES[name]) == sky.rows(QUERIES[name], sky.held)
    engine.close()


def _moved(table: QueryTable, root: Path) -> QueryTable:
    """Give a table whose folder was copied."""
    stored = table.stored
    if not isinstance(stored, Catalog):
        return table
    folder = root / table.model.name
    files = tuple(
        Partition(folder / f.path.relative_to(stored.root), f.norder, f.npix, f.nrows, f.size)
        for f in stored.files
    )
    indexes = {c: folder / p.relative_to(stored.root) for c, p in stored.indexes.items()}
    catalog = Catalog(folder, files, indexes, stored.sorted_by)
    return QueryTable(table.schema, table.model, catalog)


@pytest.mark.req("ENG-4")
@pytest.mark.parametrize("harm", ["cut", "written over", "gone"])
def test_a_damaged_partition_is_told_and_other_tables_are_served(
    sky: Sky, tmp_path: Path, harm: str
) -> None:
    root = tmp_path / "catalogs"
    shutil.copytree(sky.folder / "catalogs", root)
    tables = [_moved(table, root) for table in sky.stored.tables]
    engine = DuckDBEngine([tmp_path])
    mine = Sky(engine, Catalogue(tuple(tables)), sky.held, tmp_path)
    where = QUERIES["a circle"]
    everything = "SELECT COUNT(*) AS n, AVG(mag) AS m FROM sky.Star"
    assert mine.rows(where)
    assert mine.rows(everything)
    for table in tables:
        if table.model.name == "Star":
            assert isinstance(table.stored, Catalog)
            for partition in table.stored.files:
                if harm == "gone":
                    partition.path.unlink()
                elif harm == "cut":
                    os.truncate(partition.path, partition.size // 2)
                else:
                    data = bytearray(partition.path.read_bytes())
                    data[1000:3000] = os.urandom(2000)
                    partition.path.write_bytes(data)
    for query in (where, everything):
        with pytest.raises(EngineError, match=r"The data of sky\.Star could not be read"):
            mine.rows(query)
    assert mine.rows(QUERIES["a foreign key"])
    engine.close()


@pytest.mark.req("ENG-5")
def test_what_fits_neither_memory_nor_disk_is_told(sky: Sky, tmp_path: Path) -> None:
    engine = DuckDBEngine([sky.folder], Limits("40MB", 1, tmp_path, "8MB"))
    mine = Sky(engine, sky.stored, sky.held, sky.folder)
    with pytest.raises(ResourceError, match="needs more memory and disk than it may have"):
        mine.rows(
            "SELECT a.star, b.star AS other, a.mag * b.mag AS m FROM sky.Star AS a "
            "JOIN sky.Star AS b ON a.n = b.n WHERE a.star < 60000 ORDER BY m, other"
        )
    assert mine.rows(QUERIES["a circle"])
    engine.close()


@pytest.mark.req("ENG-3")
def test_an_estimate_grows_with_what_is_read(sky: Sky) -> None:
    few, many = (
        sky.engine.estimate(compile_query(QUERIES[name], sky.stored))
        for name in ("a circle", "either")
    )
    assert 0 < few.rows_read < many.rows_read == STARS
    assert 0 < few.bytes_read < many.bytes_read
    assert 0 < few.seconds < many.seconds


@pytest.mark.req("ENG-3")
def test_a_scan_says_how_far_it_is(sky: Sky) -> None:
    stream = sky.engine.stream(
        compile_query(
            "SELECT AVG(a.mag + b.mag) AS m FROM sky.Star AS a, sky.Star AS b", sky.stored
        )
    )
    assert stream.progress() is None
    assert stream.begin() is not None
    assert stream.progress() is None or 0 <= stream.progress() <= 1
    stream.close()
    assert stream.progress() is None


@pytest.mark.req("ENG-1")
def test_a_file_without_pages_of_one_group_is_not_mapped(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    parquet.write_table(pa.table({"a": np.arange(10)}), path, compression="none")
    assert not MappedFile(path, "a").is_searchable()
