"""The same queries on DuckDB in the service and on a Spark cluster, over the same release.

Needs a Spark Connect server (`tests/support/spark.sh up`, then `… bench`), and in
CERRO_BENCH_SURVEY a release store with the release ``survey``: 20 million objects and 60 million
measurements (bench/survey.py).
"""

# ruff: noqa: S608 - the queries are made of numbers of the release itself.

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine, Engine, Limits
from cerro_services.engine.spark import SparkEngine
from cerro_services.release import Column, ReleaseStore
from cerro_services.release.model import TableModel
from cerro_services.tap.tapschema import view

REPEATS = 3
_WIDE = (
    "objectId, coord_ra, coord_dec, u_psfFlux, g_psfFlux, r_psfFlux, i_psfFlux, z_psfFlux, tract"
)
_IN = "CONTAINS(POINT(coord_ra, coord_dec), CIRCLE({0}, {1}, {2}))"


def queries(catalogue: Catalogue) -> tuple[dict[str, str], Catalogue]:
    """Give the queries by what they do, and the catalogue with the uploads that they need."""
    objects = next(t for t in catalogue.tables if t.name == "survey.Object")
    first = objects.stored.files[len(objects.stored.files) // 2].path
    sample = parquet.read_table(first, columns=["objectId", "coord_ra", "coord_dec"])
    random = np.random.default_rng(5)
    chosen = sample.take(np.sort(random.choice(sample.num_rows, 10_000, replace=False)))
    ra, dec, keys = (column.to_numpy() for column in chosen.columns[1:] + chosen.columns[:1])
    lon, lat, key = float(ra[0]), float(dec[0]), int(keys[0])
    positions = pa.table(
        {"id": np.arange(10_000, dtype=np.int32), "ra": ra + 1e-5, "dec": dec + 1e-5}
    )
    columns = (Column("id", "int"), Column("ra", "double"), Column("dec", "double"))
    upload = QueryTable("tap_upload", TableModel("places", columns, ra="ra", dec="dec"), positions)
    return {
        "object by id": f"SELECT * FROM survey.Object WHERE objectId = {key}",
        "cone 0.1 deg": f"SELECT {_WIDE} FROM survey.Object WHERE 1 = {_IN.format(lon, lat, 0.1)}",
        "cone 1 deg": f"SELECT {_WIDE} FROM survey.Object WHERE 1 = {_IN.format(lon, lat, 1.0)}",
        "colour cut, count": "SELECT COUNT(*) FROM survey.Object "
        "WHERE g_psfFlux > 2 * r_psfFlux AND i_psfFlux > 1000",
        "group by tract": "SELECT tract, COUNT(*), AVG(r_psfFlux) FROM survey.Object "
        "GROUP BY tract",
        "order by, limit": "SELECT TOP 100 objectId, r_psfFlux FROM survey.Object "
        "ORDER BY r_psfFlux DESC",
        "magnitudes by band": "SELECT band, COUNT(*), AVG(scisql_nanojanskyToAbMag(psfFlux)), "
        "MAX(expMidptMJD) FROM survey.ForcedSource WHERE psfFlux > 100 GROUP BY band",
        "objects joined to measurements": "SELECT o.tract, COUNT(*), AVG(f.psfFlux - o.r_psfFlux) "
        "FROM survey.Object AS o JOIN survey.ForcedSource AS f ON o.objectId = f.objectId "
        "WHERE f.band = 'r' GROUP BY o.tract",
        "neighbours in 2 arcsec, 0.5 deg": "SELECT COUNT(*) FROM survey.Object AS a "
        "JOIN survey.Object AS b ON DISTANCE(a.coord_ra, a.coord_dec, b.coord_ra, b.coord_dec) "
        f"< 0.000556 WHERE 1 = CONTAINS(POINT(a.coord_ra, a.coord_dec), CIRCLE({lon}, {lat}, 0.5)) "
        "AND a.objectId < b.objectId",
        "crossmatch of 10,000 positions": "SELECT p.id, o.objectId FROM tap_upload.places AS p "
        "JOIN survey.Object AS o "
        "ON DISTANCE(p.ra, p.dec, o.coord_ra, o.coord_dec) < 0.000278",
        "a million rows of 10 columns": f"SELECT TOP 1000000 {_WIDE}, refBand FROM survey.Object",
    }, Catalogue((*catalogue.tables, upload))  # fmt: skip


def timed(engine: Engine, catalogue: Catalogue, adql: str) -> tuple[float, int]:
    """Give the median time of a query in ms, warm, with all rows fetched, and their number."""
    times = []
    rows = 0
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        stream = engine.stream(compile_query(adql, catalogue))
        try:
            stream.begin()
            rows = sum(batch.num_rows for batch in stream)
        finally:
            stream.close()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:]), rows


def run(workdir: Path, only: Sequence[str] = ()) -> dict[str, float | str]:
    """Measure both engines; a figure is the median of three, warm, in ms.

    Parameters
    ----------
    workdir
        Where DuckDB may spill to.
    only
        Parts of the names of what to measure; everything if there is none.
    """
    url, folder = os.environ.get("CERRO_SPARK_URL"), os.environ.get("CERRO_BENCH_SURVEY")
    if not url or not folder:
        return {"engines": "not measured: it needs CERRO_SPARK_URL and CERRO_BENCH_SURVEY"}
    store = ReleaseStore(Path(folder))
    asked, catalogue = queries(view(store.published(), frozenset()).catalogue)
    engines: dict[str, Callable[[], Engine]] = {
        "duckdb": lambda: DuckDBEngine([store.root], Limits("2GB", 2, workdir)),
        "spark": lambda: SparkEngine(url, store.root),
    }
    figures: dict[str, float | str] = {}
    for name, make in engines.items():
        engine = make()
        engine.warm()
        for what, adql in asked.items():
            if only and not any(part in what for part in only):
                continue
            load = os.getloadavg()[0]
            try:
                median, rows = timed(engine, catalogue, adql)
            except Exception as error:
                figures[f"{what}, {name}"] = f"{type(error).__name__}: {error}"
                continue
            figures[f"{what}, {name}, ms"] = round(median, 1)
            figures[f"{what}, {name}, rows"] = rows
            print(
                f"{what:34} {name:7} {median:9.1f} ms {rows:9,} rows (load {load:.1f})", flush=True
            )
        engine.close()
    return figures


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch), sys.argv[1:])
