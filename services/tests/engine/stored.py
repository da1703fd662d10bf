"""A small survey on disk, with a table that is joined to it, and an engine that asks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine
from cerro_services.release import Column
from cerro_services.release.conform import match
from cerro_services.release.hats import Catalog, Partition
from cerro_services.release.layout import Layout
from cerro_services.release.model import TableModel
from cerro_services.release.progress import Progress
from cerro_services.release.readers import open_sources
from cerro_services.release.writer import Writer

STARS, EPOCHS = 20_000, 4


def model_of(name: str, columns: dict[str, str], **more: object) -> TableModel:
    return TableModel(
        name,
        tuple(Column(n, kind, nullable=n.startswith("maybe")) for n, kind in columns.items()),
        **more,  # type: ignore[arg-type]
    )


def written(folder: Path, model: TableModel, rows: pa.Table) -> QueryTable:
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


HERE = "1 = CONTAINS(POINT(s.ra, s.dec), CIRCLE({}, {}, {}))"
QUERIES = {
    "a circle": f"SELECT s.* FROM sky.Star AS s WHERE {HERE.format(120, -30, 0.2)}",
    "a circle about a pole": f"SELECT s.* FROM sky.Star AS s WHERE {HERE.format(77, 89.9, 0.7)}",
    "a circle across 0": f"SELECT s.star FROM sky.Star AS s WHERE {HERE.format(0.1, 0, 0.6)}",
    "two circles": f"SELECT s.star FROM sky.Star AS s WHERE {HERE.format(120, -30, 0.2)} "
    f"AND {HERE.format(120.2, -30, 0.2)}",
    "circles that are apart": f"SELECT s.star FROM sky.Star AS s "
    f"WHERE {HERE.format(120, -30, 0.2)} AND {HERE.format(10, 30, 0.2)}",
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
    f"ON e.star = s.star WHERE {HERE.format(120, -30, 0.3)}",
    "an upload's positions": "SELECT u.id, s.star FROM TAP_UPLOAD.u JOIN sky.Star AS s "
    "ON DISTANCE(POINT(s.ra, s.dec), POINT(u.x, u.y)) < 0.02",
    "neighbours": "SELECT a.star, b.star AS other FROM sky.Star AS a JOIN sky.Star AS b "
    "ON DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < 0.01 "
    f"WHERE {HERE.format(120, -30, 0.5).replace('s.', 'a.')} AND a.star < b.star",
    "either": f"SELECT s.star FROM sky.Star AS s WHERE {HERE.format(120, -30, 0.1)} OR s.n = 4",
    "none of them": "SELECT COUNT(*) AS n FROM sky.Star WHERE NOT (star = 703)",
    "a subquery": "SELECT COUNT(*) AS n FROM sky.Star WHERE star IN (SELECT star FROM sky.Epoch)",
}
