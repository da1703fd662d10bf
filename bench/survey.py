"""How fast a large survey answers, inside the service: cones, look-ups, light curves, cross-match.

On the 20 million objects and 60 million measurements of ``gen_survey.py`` if CERRO_SURVEY names the
folder that it wrote; with a twentieth of it, made here, otherwise. CERRO_SURVEY_STORE may name a
store where `survey` is published already. Each figure is the median of different queries, from ADQL
to the last Arrow batch: `first` when each is asked for the first time, whatever the system holds of
the files, and warm, when each is asked again.
"""

# ruff: noqa: S608 - the queries are made here, of numbers.

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bench._serving import published
from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine, Limits
from cerro_services.release import Column, ReleaseStore
from cerro_services.release.model import TableModel

SCHEMA = Path(__file__).parent / "schema/survey.yaml"
TEN = (
    "objectId, coord_ra, coord_dec, g_psfFlux, r_psfFlux, i_psfFlux, i_psfFluxErr, i_cModelFlux, "
    "refExtendedness, tract"
)
OBJECTS, BRIGHT, EPOCHS = 1_000_000, 50_000, 60
ARCSEC = 1 / 3600


@dataclass(frozen=True)
class Sample:
    """Some objects to ask for: identifiers and positions, and the objects with measurements."""

    ids: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    bright: np.ndarray


def run(workdir: Path) -> dict[str, float | str]:
    """Publish a survey, unless there is one, and ask it."""
    figures: dict[str, float | str] = {}
    store = ReleaseStore(os.environ.get("CERRO_SURVEY_STORE") or _published(workdir, figures))
    release = store.open("survey")
    figures["objects"] = float(release.tables["Object"].nrows)
    figures["measurements"] = float(release.tables["ForcedSource"].nrows)
    sample = _sample(store)
    tables = [QueryTable("survey", table, table.catalog) for table in release.tables.values()]
    catalogue = Catalogue((*tables, *_uploads(sample)))
    spill = workdir / "spill"
    spill.mkdir()
    engine = DuckDBEngine([store.root], Limits("2GB", os.cpu_count() or 1, spill))
    # Figures are warm: no query is the first that opens a file.
    engine.warm(table.catalog for table in release.tables.values())

    def ask(adql: str) -> None:
        stream = engine.stream(compile_query(adql, catalogue))
        try:
            for _ in stream:
                pass
        finally:
            stream.close()

    for name, (query, repeats) in _queries(sample).items():
        # Nothing of an answer is kept, but the second time the system holds the files' pages.
        for which in ("first_", ""):
            taken, used = [], []
            for i in range(repeats):
                started, cpu = time.perf_counter(), time.process_time()
                ask(query(i))
                taken.append((time.perf_counter() - started) * 1e3)
                used.append((time.process_time() - cpu) * 1e3)
            figures[f"{name}_{which}ms"] = statistics.median(taken)
            figures[f"{name}_{which}cpu_ms"] = statistics.median(used)
    engine.close()
    return figures


def _queries(sample: Sample) -> dict[str, tuple[Callable[[int], str], int]]:
    def cone(radius: float) -> Callable[[int], str]:
        return lambda i: (
            f"SELECT {TEN} FROM survey.Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), "
            f"CIRCLE({32 + i * 7.13 % 24:.5f}, {-32 + i * 3.77 % 20:.5f}, {radius}))"
        )

    def near(radius: float) -> str:
        here, there = "POINT(a.coord_ra, a.coord_dec)", "POINT(b.coord_ra, b.coord_dec)"
        return f"DISTANCE({here}, {there}) < {radius}"

    curve = "objectId, expMidptMJD, band, psfFlux, psfFluxErr"
    return {
        "cone_0.1deg": (cone(0.1), 40),
        "cone_1deg": (cone(1.0), 30),
        "object_by_id": (
            lambda i: f"SELECT * FROM survey.Object WHERE objectId = {sample.ids[i * 37]}", 40),
        "light_curve": (
            lambda i: f"SELECT {curve} FROM survey.ForcedSource "
            f"WHERE objectId = {sample.bright[i * 7]}", 40),
        "light_curves_1000_in_list": (
            lambda i: f"SELECT {curve} FROM survey.ForcedSource WHERE objectId IN "
            f"({', '.join(map(str, np.roll(sample.bright, -i)[:1000]))})", 30),
        "light_curves_1000_uploaded": (
            lambda i: f"SELECT {i} AS i, f.* FROM TAP_UPLOAD.ids AS u "
            "JOIN survey.ForcedSource AS f ON f.objectId = u.id", 30),
        "colour_cut_full_scan": (
            lambda i: "SELECT COUNT(*) AS n FROM survey.Object WHERE "
            f"-2.5 * LOG10(g_psfFlux / r_psfFlux) > 1.{i:02d} AND g_psfFlux > 0 "
            "AND r_psfFlux > 0 AND refExtendedness = 0", 30),
        "group_by_tract": (
            lambda i: f"SELECT tract, COUNT(*) AS n{i}, AVG(i_psfFlux) AS m FROM survey.Object "
            "GROUP BY tract", 30),
        "brightest_10": (
            lambda i: f"SELECT TOP 10 objectId, i_psfFlux AS f{i} FROM survey.Object "
            "ORDER BY i_psfFlux DESC", 30),
        "crossmatch_10000_uploaded_1arcsec": (
            lambda i: f"SELECT u.sid, o.objectId AS o{i} FROM TAP_UPLOAD.positions AS u "
            "JOIN survey.Object AS o ON 1 = CONTAINS(POINT(o.coord_ra, o.coord_dec), "
            f"CIRCLE(u.ra, u.dec, {ARCSEC}))", 30),
        "neighbours_2arcsec_in_1_square_degree": (
            lambda i: f"SELECT COUNT(*) AS n{i} FROM survey.Object AS a JOIN survey.Object AS b "
            f"ON {near(2 * ARCSEC)} WHERE a.objectId < b.objectId AND "
            "1 = CONTAINS(POINT(a.coord_ra, a.coord_dec), CIRCLE(44, -22, 0.5642))", 7),
    }  # fmt: skip


def _uploads(sample: Sample) -> tuple[QueryTable, QueryTable]:
    rng = np.random.default_rng(5)
    chosen = rng.choice(len(sample.lon), 10_000, replace=False)
    off = rng.normal(0, 0.3 * ARCSEC, (2, len(chosen)))
    positions = pa.table(
        {
            "sid": np.arange(len(chosen)),
            "ra": sample.lon[chosen] + off[0],
            "dec": sample.lat[chosen] + off[1],
        }
    )
    columns = (Column("sid", "long"), Column("ra", "double"), Column("dec", "double"))
    first = TableModel("positions", columns, ra="ra", dec="dec")
    second = TableModel("ids", (Column("id", "long"),))
    ids = pa.table({"id": sample.bright[-1000:]})
    return (
        QueryTable("TAP_UPLOAD", first, positions),
        QueryTable("TAP_UPLOAD", second, ids),
    )


def _sample(store: ReleaseStore) -> Sample:
    tables = store.open("survey").tables
    names = ["objectId", "coord_ra", "coord_dec"]
    files = tables["Object"].catalog.files
    rows = pa.concat_tables(
        parquet.ParquetFile(f.path).read_row_group(0, columns=names) for f in files
    )
    order = np.random.default_rng(3).permutation(rows.num_rows)
    ids, lon, lat = (rows[name].to_numpy()[order] for name in names)
    measured = tables["ForcedSource"].catalog.files
    bright = np.unique(
        np.concatenate(
            [
                parquet.ParquetFile(f.path).read_row_group(0, columns=["objectId"])[0].to_numpy()
                for f in measured
            ]
        )
    )
    return Sample(ids, lon, lat, np.random.default_rng(4).permutation(bright))


def _published(workdir: Path, figures: dict[str, float | str]) -> Path:
    raw = os.environ.get("CERRO_SURVEY")
    folder = Path(raw) if raw else _made(workdir)
    started = time.perf_counter()
    tables = {"Object": folder / "raw_object", "ForcedSource": folder / "raw_fs"}
    store = published(workdir, "survey", SCHEMA, tables)
    figures["publish_s"] = time.perf_counter() - started
    return store


def _made(workdir: Path) -> Path:
    """Make a smaller survey of the same columns, with a dense field."""
    rng = np.random.default_rng(42)
    dense = OBJECTS // 10
    lon = np.concatenate((rng.uniform(30, 58, OBJECTS - dense), 44 + rng.normal(0, 0.5, dense)))
    lat = np.concatenate((rng.uniform(-34, -10, OBJECTS - dense), -22 + rng.normal(0, 0.5, dense)))
    ids = rng.permutation(OBJECTS).astype(np.int64) + (1 << 40)
    columns: dict[str, object] = {"objectId": ids, "coord_ra": lon, "coord_dec": lat}

    def normal() -> np.ndarray:
        return rng.lognormal(3, 1, OBJECTS).astype(np.float32)

    columns |= {name: normal() for name in ("coord_raErr", "coord_decErr")}
    for band in "ugrizy":
        for name in ("psfFlux", "psfFluxErr", "cModelFlux"):
            columns[f"{band}_{name}"] = pa.array(normal(), mask=rng.random(OBJECTS) < 0.02)
        columns[f"{band}_psfFlux_flag"] = rng.random(OBJECTS) < 0.01
    columns["refExtendedness"] = (rng.random(OBJECTS) < 0.5).astype(np.float32)
    columns["refBand"] = pa.array(np.array(list("irzg"))[rng.integers(0, 4, OBJECTS)])
    columns["tract"] = rng.integers(0, 300, OBJECTS).astype(np.int32)
    columns["patch"] = rng.integers(0, 100, OBJECTS).astype(np.int16)
    columns |= {name: normal() for name in ("shape_xx", "shape_yy", "shape_xy", "ebv")}
    columns["parentObjectId"] = np.zeros(OBJECTS, np.int64)
    columns["detect_isPrimary"] = rng.random(OBJECTS) < 0.9
    n = BRIGHT * EPOCHS
    measured = {
        "objectId": ids[:BRIGHT].repeat(EPOCHS),
        "visit": rng.integers(0, 4000, n) * 17 + 2026000000000,
        "detector": rng.integers(0, 189, n).astype(np.int16),
        "band": pa.array(np.array(list("ugrizy"))[rng.integers(0, 6, n)]),
        "expMidptMJD": rng.uniform(60980, 61345, n),
        "psfFlux": rng.lognormal(3, 1, n).astype(np.float32),
        "psfFluxErr": rng.lognormal(0, 1, n).astype(np.float32),
        "psfFlux_flag": rng.random(n) < 0.01,
    }
    for name, rows in (("raw_object", columns), ("raw_fs", measured)):
        (workdir / name).mkdir()
        parquet.write_table(pa.table(rows), workdir / name / "part.parquet")
    return workdir
