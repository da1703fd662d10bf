"""Rows are picked before a query runs: all that matter, by region, key, join; files are watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import hpgeom
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from cerro_services.adql import Catalogue, Circle, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine, EngineError, Limits, ResourceError
from cerro_services.engine.coverage import cover, cover_circles, intersection
from cerro_services.engine.files import Files
from cerro_services.engine.mapped import MappedFile
from cerro_services.engine.picking import Picker
from cerro_services.release import Column
from cerro_services.release.conform import match
from cerro_services.release.hats import Catalog, Partition
from cerro_services.release.layout import Layout
from cerro_services.release.model import TableModel
from cerro_services.release.progress import Progress
from cerro_services.release.readers import open_sources
from cerro_services.release.writer import Writer

STARS, EPOCHS = 20_000, 4


def _model(name: str, columns: dict[str, str], **more: object) -> TableModel:
    return TableModel(
        name,
        tuple(Column(n, kind, nullable=n.startswith("maybe")) for n, kind in columns.items()),
        **more,  # type: ignore[arg-type]
    )


def _stored(folder: Path, model: TableModel, rows: pa.Table) -> QueryTable:
    source = folder / f"{model.name}.parquet"
    parquet.write_table(rows, source)
    target = folder / "catalogs" / model.name
    layout = Layout(max_rows=6_000, row_group=512)
    writer = Writer(model, target, folder / "scratch", layout, Progress())
    files = writer.write([match(s, model) for s in open_sources([source])])
    partitions = tuple(
        Partition(target / f.path, f.norder, f.npix, f.rows, f.bytes)
        for f in files
        if f.kind == "data"
    )
    indexes = {f.column or "": target / f.path for f in files if f.kind == "index"}
    catalog = Catalog(target, partitions, indexes, writer.order[0] if writer.order else None)
    return QueryTable("sky", model, catalog)


@dataclass
class Sky:
    """The same tables twice: as files, and in memory, where nothing can be picked."""

    engine: DuckDBEngine
    stored: Catalogue
    held: Catalogue
    folder: Path

    def rows(self, adql: str, catalogue: Catalogue | None = None) -> list[tuple[object, ...]]:
        stream = self.engine.stream(compile_query(adql, catalogue or self.stored))
        try:
            return sorted(
                (tuple(row.values()) for batch in stream for row in batch.to_pylist()), key=repr
            )
        finally:
            stream.close()


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sky]:
    folder = tmp_path_factory.mktemp("sky")
    rng = np.random.default_rng(11)
    # Half of the stars crowd about a pole, about 0 degrees of right ascension, and in one field.
    lon = rng.uniform(0, 360, STARS)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, STARS)))
    some = STARS // 6
    lat[:some] = 90 - rng.exponential(1.0, some)
    lon[some : 2 * some] = rng.normal(0, 1, some) % 360
    lat[some : 2 * some] = rng.normal(0, 1, some)
    lon[2 * some : 3 * some] = 120 + rng.normal(0, 0.3, some)
    lat[2 * some : 3 * some] = -30 + rng.normal(0, 0.3, some)
    star = np.arange(STARS, dtype=np.int64) * 7 + 3
    stars = pa.table(
        {
            "star": star,
            "ra": lon,
            "dec": lat,
            "mag": rng.normal(15, 2, STARS).astype(np.float32),
            "maybe": pa.array(rng.normal(0, 1, STARS), mask=rng.random(STARS) < 0.05),
            "band": pa.array(np.array(["g", "r", "i"])[rng.integers(0, 3, STARS)]),
            "seen": pa.array(rng.integers(0, 2**40, STARS), pa.timestamp("us")),
            "n": rng.integers(-5, 5, STARS).astype(np.int16),
        }
    )
    of = rng.choice(star, STARS // 4, replace=False).repeat(EPOCHS)
    epochs = pa.table(
        {"star": of, "mjd": rng.uniform(6e4, 6.1e4, len(of)), "flag": rng.random(len(of)) < 0.1}
    )
    kinds = {"star": "long", "ra": "double", "dec": "double", "mag": "float", "maybe": "double"}
    kinds |= {"band": "string", "seen": "timestamp", "n": "short"}
    models = (
        (_model("Star", kinds, key=("star",), ra="ra", dec="dec"), stars),
        (
            _model(
                "Epoch",
                {"star": "long", "mjd": "double", "flag": "boolean"},
                indexes=("star",),
            ),
            epochs,
        ),
    )
    few = pa.table({"id": star[::97], "x": lon[::97], "y": lat[::97]})
    upload = QueryTable(
        "TAP_UPLOAD",
        _model("u", {"id": "long", "x": "double", "y": "double"}, ra="x", dec="y"),
        few,
    )
    engine = DuckDBEngine([folder], Limits("500MB", 2, None))
    yield Sky(
        engine,
        Catalogue((*(_stored(folder, m, rows) for m, rows in models), upload)),
        Catalogue((*(QueryTable("sky", m, rows) for m, rows in models), upload)),
        folder,
    )
    engine.close()


_HERE = "1 = CONTAINS(POINT(s.ra, s.dec), CIRCLE({}, {}, {}))"
QUERIES = {
    "a circle": f"SELECT s.* FROM sky.Star AS s WHERE {_HERE.format(120, -30, 0.2)}",
    "a circle about a pole": f"SELECT s.* FROM sky.Star AS s WHERE {_HERE.format(77, 89.9, 0.7)}",
    "a circle across 0": f"SELECT s.star FROM sky.Star AS s WHERE {_HERE.format(0.1, 0, 0.6)}",
    "two circles": f"SELECT s.star FROM sky.Star AS s WHERE {_HERE.format(120, -30, 0.2)} "
    f"AND {_HERE.format(120.2, -30, 0.2)}",
    "circles that are apart": f"SELECT s.star FROM sky.Star AS s "
    f"WHERE {_HERE.format(120, -30, 0.2)} AND {_HERE.format(10, 30, 0.2)}",
    "a polygon": "SELECT s.star, s.n FROM sky.Star AS s WHERE "
    "1 = CONTAINS(POINT(s.ra, s.dec), POLYGON(119.8, -30.2, 120.3, -30.1, 120.0, -29.6))",
    "a key": "SELECT * FROM sky.Star WHERE star = 703",
    "no such key": "SELECT * FROM sky.Star WHERE star = 704",
    "a key beyond 64 bits": "SELECT * FROM sky.Star WHERE star = 99999999999999999999",
    "some keys": "SELECT star, maybe, band, seen FROM sky.Star WHERE star IN (3, 10, 11, 703, -4)",
    "a foreign key": "SELECT * FROM sky.Epoch WHERE star IN (3, 10, 17, 24, 31, 38, 45, 52, 59)",
    "an upload's keys": "SELECT u.id, e.mjd, e.flag FROM TAP_UPLOAD.u JOIN sky.Epoch AS e "
    "ON e.star = u.id",
    "an upload's keys, WHERE": "SELECT s.star, s.mag FROM TAP_UPLOAD.u, sky.Star AS s "
    "WHERE u.id = s.star",
    "keys of an outer join": "SELECT u.id, e.mjd FROM TAP_UPLOAD.u LEFT JOIN sky.Epoch AS e "
    "ON e.star = u.id",
    "what must not be limited": "SELECT COUNT(*) AS n FROM sky.Epoch AS e LEFT JOIN TAP_UPLOAD.u "
    "ON e.star = u.id",
    "a circle and its epochs": "SELECT s.star, e.mjd FROM sky.Star AS s JOIN sky.Epoch AS e "
    f"ON e.star = s.star WHERE {_HERE.format(120, -30, 0.3)}",
    "an upload's positions": "SELECT u.id, s.star FROM TAP_UPLOAD.u JOIN sky.Star AS s "
    "ON DISTANCE(POINT(s.ra, s.dec), POINT(u.x, u.y)) < 0.02",
    "neighbours": "SELECT a.star, b.star AS other FROM sky.Star AS a JOIN sky.Star AS b "
    "ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.01 "
    f"WHERE {_HERE.format(120, -30, 0.5).replace('s.', 'a.')} AND a.star < b.star",
    "either": f"SELECT s.star FROM sky.Star AS s WHERE {_HERE.format(120, -30, 0.1)} OR s.n = 4",
    "none of them": "SELECT COUNT(*) AS n FROM sky.Star WHERE NOT (star = 703)",
    "a subquery": "SELECT COUNT(*) AS n FROM sky.Star WHERE star IN (SELECT star FROM sky.Epoch)",
}


COPIED = {
    "a key": "SELECT * FROM sky.Star WHERE star = 703",
    "a key, some columns": "SELECT band AS b, star, star AS again FROM sky.Star WHERE 703 = star",
    "no such key": "SELECT * FROM sky.Star WHERE star = 704",
    "the greatest integer": "SELECT seen FROM sky.Star WHERE star IN (10, 9223372036854775807)",
    "rows of keys": "SELECT * FROM sky.Epoch WHERE star IN (3, 10, 17, 24, 31, 38, 45, 52, 59, 4)",
    "columns that are not the key": "SELECT mjd, flag FROM sky.Epoch WHERE star IN (3, 10, 17, 24)",
}


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", COPIED)
def test_rows_of_a_key_are_copied_as_the_database_would_give_them(sky: Sky, name: str) -> None:
    query = compile_query(COPIED[name], sky.stored)
    assert query.copied
    found, expected = (
        pa.Table.from_batches(batches, schema)
        for q in (query, replace(query, copied=None))
        for stream in [sky.engine.stream(q)]
        for schema, batches in [(stream.begin(), stream)]
    )
    assert found.schema.equals(expected.schema)
    assert sorted(found.to_pylist(), key=repr) == sorted(expected.to_pylist(), key=repr)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("top", [0, 3, 8])
@pytest.mark.parametrize("limit", [None, 0, 5, 100])
def test_top_offset_and_maxrec_hold_for_rows_that_are_copied(
    sky: Sky, top: int, limit: int | None
) -> None:
    for where, there in (("WHERE star IN (3, 10, 17, 24, 31, 38)", 6), ("", STARS)):
        query = compile_query(f"SELECT TOP {top} star FROM sky.Star {where} OFFSET 2", sky.stored)
        assert query.copied
        stream = sky.engine.stream(query, limit=limit)
        rows = [row["c0"] for batch in stream for row in batch.to_pylist()]
        assert len(rows) == len(set(rows)) == min(top, there - 2, top if limit is None else limit)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize(
    "adql",
    [
        "SELECT star + 1 FROM sky.Star WHERE star = 703",
        "SELECT DISTINCT band FROM sky.Star WHERE star = 703",
        "SELECT star FROM sky.Star WHERE star = 703 ORDER BY mag",
        "SELECT star FROM sky.Star WHERE star = 703 AND n > 0",
        "SELECT star FROM sky.Star WHERE star <> 703",
        "SELECT star FROM sky.Star WHERE star NOT IN (703)",
        "SELECT star FROM sky.Star WHERE star IN (SELECT star FROM sky.Epoch WHERE star = 703)",
        "SELECT star FROM (SELECT star FROM sky.Star WHERE star = 703) AS s",
        "SELECT star FROM sky.Star WHERE star = 703 UNION SELECT star FROM sky.Star WHERE star = 3",
        "SELECT COUNT(*) AS n FROM sky.Star WHERE star = 703",
        f"SELECT s.star FROM sky.Star AS s WHERE {_HERE.format(120, -30, 0.2)}",
    ],
)
def test_what_more_is_asked_the_database_answers(sky: Sky, adql: str) -> None:
    assert compile_query(adql, sky.stored).copied is None


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", QUERIES)
def test_what_is_picked_answers_as_all_rows_do(sky: Sky, name: str) -> None:
    assert sky.rows(QUERIES[name]) == sky.rows(QUERIES[name], sky.held)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", ["a circle", "a key", "a foreign key", "an upload's positions"])
def test_few_rows_are_picked_of_many(sky: Sky, name: str) -> None:
    query = compile_query(QUERIES[name], sky.stored)
    picked = Picker(Files()).pick(query.scans, None)
    assert len(picked) == len(query.scans)
    assert max(rows.num_rows for rows in picked.values()) < STARS / 2


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


_LON, _LAT = st.floats(0, 359.99999), st.floats(-90, 90)


def _about(lon: float, lat: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Give cells of positions within a circle, many of them at its edge."""
    share = np.where(rng.random(300) < 0.5, 1 - 1e-9, np.sqrt(rng.random(300)))
    d, angle, b = np.radians(radius) * share, rng.uniform(0, 2 * np.pi, 300), np.radians(lat)
    y = np.arcsin(np.clip(np.sin(b) * np.cos(d) + np.cos(b) * np.sin(d) * np.cos(angle), -1, 1))
    x = np.arctan2(np.sin(angle) * np.sin(d) * np.cos(b), np.cos(d) - np.sin(b) * np.sin(y))
    cells = hpgeom.angle_to_pixel(
        1 << 29, np.degrees(x + np.radians(lon)) % 360, np.degrees(y), nest=True, lonlat=True
    )
    return np.asarray(cells)


def _holds(ranges: np.ndarray, cells: np.ndarray) -> bool:
    at = np.searchsorted(ranges[:, 1], cells, side="right")
    return bool((at < len(ranges)).all() and (ranges[at, 0] <= cells).all())


@pytest.mark.req("ENG-1")
@settings(deadline=None, max_examples=150)
@given(_LON, _LAT, st.floats(1e-6, 44), st.integers(0, 2))
def test_a_cover_holds_its_circle(lon: float, lat: float, radius: float, finer: int) -> None:
    ranges = cover([Circle(lon, lat, radius)], finer=finer)
    assert ranges is not None
    assert _holds(ranges, _about(lon, lat, radius, np.random.default_rng(1)))


@pytest.mark.req("ENG-1")
@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(_LON, _LAT), min_size=1, max_size=20), st.floats(1e-6, 4.9))
def test_a_cover_holds_many_circles(places: list[tuple[float, float]], radius: float) -> None:
    lon, lat = np.array(places).T
    ranges = cover_circles(lon, lat, radius)
    assert ranges is not None
    assert (ranges[1:, 0] >= ranges[:-1, 1]).all()
    rng = np.random.default_rng(1)
    assert all(_holds(ranges, _about(x, y, radius, rng)) for x, y in places)


@pytest.mark.req("ENG-1")
@given(
    st.lists(st.integers(0, 60), unique=True, max_size=20),
    st.lists(st.integers(0, 60), unique=True, max_size=20),
)
def test_the_intersection_of_ranges_is_that_of_their_cells(a: list[int], b: list[int]) -> None:
    sets = []
    for edges in (sorted(a), sorted(b)):
        pairs = np.array(edges[: len(edges) // 2 * 2], np.int64).reshape(-1, 2)
        sets.append(pairs)

    def cells(ranges: np.ndarray) -> set[int]:
        return {cell for lo, hi in ranges.tolist() for cell in range(lo, hi)}

    assert cells(intersection(*sets)) == cells(sets[0]) & cells(sets[1])


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
