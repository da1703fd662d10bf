"""Joins by position, against every pair tried: poles, 0 degrees, inner, outer, derived tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import DuckDBEngine
from cerro_services.release import Column
from cerro_services.release.model import TableModel

N = 150
Positions = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine([tmp_path_factory.mktemp("none")])
    yield made
    made.close()


def _table(name: str, lon: np.ndarray, lat: np.ndarray) -> QueryTable:
    columns = (Column("id", "long"), Column("ra", "double"), Column("dec", "double"))
    rows = pa.table({"id": np.arange(len(lon)), "ra": lon, "dec": lat})
    return QueryTable("s", TableModel(name, columns, ra="ra", dec="dec"), rows)


def _crowded(where: str, radius: float, rng: np.random.Generator) -> Positions:
    """Make positions so close that a circle holds some of them."""
    lon, lat = rng.uniform(0, 360, 2 * N), rng.uniform(-3, 3, 2 * N) * radius
    if where == "0 degrees":
        lon = rng.uniform(-3, 3, 2 * N) * radius % 360
    elif where == "180 degrees":
        lat = 60 + lat
        lon = 180 + rng.uniform(-6, 6, 2 * N) * radius
    elif where == "beyond 0":
        lon = rng.uniform(-3, 3, 2 * N) * radius
    else:
        away = np.abs(rng.normal(0, 2 * radius, 2 * N)) % 5
        lat = 90 - away if where == "the north pole" else away - 90
    return lon, np.clip(lat, -90, 90)


def _pairs(a: Positions, b: Positions, radius: float) -> set[tuple[int, int | None]]:
    (x, y), (u, v) = (np.radians(side) for side in (a, b))
    square = (
        np.sin((y[:, None] - v) / 2) ** 2
        + np.cos(y)[:, None] * np.cos(v) * np.sin((x[:, None] - u) / 2) ** 2
    )
    near = np.degrees(2 * np.arcsin(np.minimum(1, np.sqrt(square)))) <= radius
    return set(zip(*(axis.tolist() for axis in np.nonzero(near)), strict=True))


FORMS = {
    "CONTAINS": "FROM s.a JOIN s.b ON 1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(a.ra, a.dec, {r}))",
    "WHERE": "FROM s.a, s.b WHERE DISTANCE(POINT(b.ra, b.dec), POINT(a.ra, a.dec)) <= {r}",
    "LEFT": "FROM s.a LEFT JOIN s.b ON DISTANCE(POINT(b.ra, b.dec), POINT(a.ra, a.dec)) <= {r}",
    "RIGHT": "FROM s.b RIGHT JOIN s.a ON DISTANCE(POINT(b.ra, b.dec), POINT(a.ra, a.dec)) <= {r}",
    "derived": "FROM (SELECT id, ra AS x, dec AS y FROM s.a) AS a JOIN s.b "
    "ON DISTANCE(POINT(b.ra, b.dec), POINT(a.x, a.y)) <= {r}",
    "three": "FROM s.a JOIN s.b ON DISTANCE(POINT(b.ra, b.dec), POINT(a.ra, a.dec)) <= {r} "
    "JOIN s.b AS c ON DISTANCE(POINT(c.ra, c.dec), POINT(b.ra, b.dec)) <= {r} AND b.id = c.id",
}


@pytest.mark.req("ENG-2")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "where", ["0 degrees", "180 degrees", "beyond 0", "the north pole", "the south pole"]
)
@pytest.mark.parametrize("radius", [2e-4, 0.03, 4.3])
def test_every_pair_is_found_once(
    engine: DuckDBEngine, form: str, where: str, radius: float
) -> None:
    lon, lat = _crowded(where, radius, np.random.default_rng(7))
    a, b = (lon[:N], lat[:N]), (lon[N:], lat[N:])
    catalogue = Catalogue((_table("a", *a), _table("b", *b)))
    adql = "SELECT a.id AS i, b.id AS j " + FORMS[form].format(r=repr(radius))
    stream = engine.stream(compile_query(adql, catalogue))
    found = [tuple(row.values()) for batch in stream for row in batch.to_pylist()]
    stream.close()
    expected = _pairs(a, b, radius)
    assert expected
    if form in {"LEFT", "RIGHT"}:
        expected |= {(i, None) for i in set(range(N)) - {i for i, _ in expected}}
    assert len(found) == len(expected)
    assert set(found) == expected


@pytest.mark.req("ENG-2")
def test_rows_without_a_place_on_the_sky_match_nothing(engine: DuckDBEngine) -> None:
    lon = np.array([10.0, np.nan, np.inf, 10.0])
    lat = np.array([10.0, 10.0, 10.0, np.nan])
    catalogue = Catalogue((_table("a", lon, lat), _table("b", lon, lat)))
    adql = "SELECT a.id AS i, b.id AS j " + FORMS["WHERE"].format(r=0.1)
    stream = engine.stream(compile_query(adql, catalogue))
    assert [row for batch in stream for row in batch.to_pylist()] == [{"c0": 0, "c1": 0}]
    stream.close()


@pytest.mark.req("ENG-2")
def test_other_engines_get_a_band_of_declination() -> None:
    catalogue = Catalogue((_table("a", np.zeros(1), np.zeros(1)), _table("b", *np.zeros((2, 1)))))
    query = compile_query("SELECT a.id " + FORMS["WHERE"].format(r=0.1), catalogue)
    sql = query.sql(lambda scan: f"m{scan.number}")
    assert "BETWEEN" in sql
    assert "unnest" not in sql
    assert "\0" not in sql
