"""Regions of the sky: the rows that pruning leaves are those that brute force finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cerro_services.adql import Catalogue, Circle, Polygon, compile_query
from cerro_services.engine.coverage import MAX_RANGES, cover, merge
from cerro_services.release import Catalog

Ask = Callable[[str], pa.Table]
Floats = npt.NDArray[np.float64]

LON = st.floats(0, 360) | st.sampled_from([0.0, 359.999, 0.001, 360.0, 45.0])
LAT = st.floats(-90, 90) | st.sampled_from([90.0, -90.0, 89.9, -89.99, 0.0])


def vectors(lon: Floats, lat: Floats) -> Floats:
    a, d = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def distances(lon: Floats, lat: Floats, centre: tuple[float, float]) -> Floats:
    """Give angular distances in degrees by vectors, not by haversine."""
    here, there = vectors(lon, lat), vectors(*np.array(centre))
    across = np.linalg.norm(np.cross(here, there), axis=-1)
    return np.degrees(np.arctan2(across, here @ there))


def turns(lon: Floats, lat: Floats, vertices: list[tuple[float, float]]) -> Floats:
    """Give how often the edges of a polygon wind around each position, as it sees them."""
    here = vectors(lon, lat)
    corners = vectors(*np.array(vertices).T)
    total = np.zeros(len(here))
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        first = a - (here @ a)[:, None] * here
        second = b - (here @ b)[:, None] * here
        sine = np.einsum("ij,ij->i", np.cross(first, second), here)
        total += np.arctan2(sine, np.einsum("ij,ij->i", first, second))
    return total / (2 * np.pi)


def ids(ask: Ask, condition: str) -> list[int]:
    found = ask(f"SELECT objectId FROM sky.Object WHERE {condition}").column(0).to_pylist()
    assert len(found) == len(set(found))
    return sorted(found)


@pytest.mark.req("TAP-3")
@pytest.mark.req("TAP-11")
@settings(max_examples=50, deadline=None)
@given(
    lon=LON, lat=LAT, radius=st.floats(1e-4, 60) | st.sampled_from([0.0, 44.9, 90.0, 179.0, 180.0])
)
@example(lon=0.0, lat=0.0, radius=0.1)
@example(lon=359.95, lat=0.05, radius=0.2)
@example(lon=200.0, lat=90.0, radius=1.0)
@example(lon=17.0, lat=-89.5, radius=1.0)
def test_a_circle_holds_the_rows_that_brute_force_finds(
    ask: Ask, rows: dict[str, pa.Table], lon: float, lat: float, radius: float
) -> None:
    table = rows["Object"]
    ra, dec = table["ra"].to_numpy(), table["dec"].to_numpy()
    away = distances(ra, dec, (lon, lat))
    assume(np.abs(away - radius).min() > 1e-9)
    expected = sorted(table["objectId"].to_numpy()[away < radius].tolist())
    circle = f"CIRCLE('ICRS', {lon!r}, {lat!r}, {radius!r})"
    assert ids(ask, f"1 = CONTAINS(POINT('ICRS', ra, dec), {circle})") == expected
    assert ids(ask, f"DISTANCE(POINT(ra, dec), POINT({lon!r}, {lat!r})) < {radius!r}") == expected


@st.composite
def polygons(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Give a star-shaped polygon about a centre: often not convex, never crossing itself."""
    lon, lat = draw(LON), draw(LAT)
    count = draw(st.integers(3, 8))
    reach = draw(st.floats(0.2, 40))
    angles = (np.arange(count) + draw(st.floats(0, 1))) * 2 * np.pi / count
    radii = np.radians([draw(st.floats(0.3, 1)) * reach for _ in range(count)])
    centre = vectors(np.array(lon), np.array(lat))
    east = np.array([-np.sin(np.radians(lon)), np.cos(np.radians(lon)), 0.0])
    north = np.cross(centre, east)
    ways = np.cos(angles)[:, None] * east + np.sin(angles)[:, None] * north
    points = np.cos(radii)[:, None] * centre + np.sin(radii)[:, None] * ways
    lons = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360
    lats = np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1)))
    corners = list(zip(lons.tolist(), lats.tolist(), strict=True))
    return corners[::-1] if draw(st.booleans()) else corners


@pytest.mark.req("TAP-3")
@pytest.mark.req("TAP-11")
@settings(max_examples=40, deadline=None)
@given(vertices=polygons())
@example(vertices=[(0.0, 88.0), (90.0, 88.0), (180.0, 88.0), (270.0, 88.0)])
@example(vertices=[(359.0, -1.0), (1.0, -1.0), (1.0, 1.0), (359.0, 1.0)])
@example(vertices=[(359.0, -1.0), (0.0, 0.5), (1.0, -1.0), (0.0, 2.0)])
def test_a_polygon_holds_the_rows_that_brute_force_finds(
    ask: Ask, rows: dict[str, pa.Table], vertices: list[tuple[float, float]]
) -> None:
    table = rows["Object"]
    wound = np.abs(turns(table["ra"].to_numpy(), table["dec"].to_numpy(), vertices))
    centre = np.array(Polygon(tuple(vertices)).centre)
    near = vectors(table["ra"].to_numpy(), table["dec"].to_numpy()) @ centre > 0
    assume((np.abs(wound - np.round(wound)) < 1e-6).all())
    expected = sorted(table["objectId"].to_numpy()[near & (np.round(wound) == 1)].tolist())
    numbers = ", ".join(repr(x) for vertex in vertices for x in vertex)
    assert ids(ask, f"1 = CONTAINS(POINT(ra, dec), POLYGON('ICRS', {numbers}))") == expected


@pytest.mark.req("TAP-3")
def test_positions_near_each_other_are_those_of_brute_force(
    ask: Ask, rows: dict[str, pa.Table]
) -> None:
    table = rows["Object"]
    ra, dec, key = (table[name].to_numpy() for name in ("ra", "dec", "objectId"))
    chosen = np.flatnonzero(distances(ra, dec, (0.0, 90.0)) < 0.2)
    expected = {
        (int(key[i]), int(key[j]))
        for i in chosen
        for j in np.flatnonzero(distances(ra, dec, (ra[i], dec[i])) < 0.05)
        if key[i] != key[j]
    }
    for joined in (
        "a JOIN sky.Object b ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.05",
        "a, sky.Object b",
    ):
        where = (
            ""
            if "JOIN" in joined
            else "1 = CONTAINS(POINT(b.ra, b.dec), CIRCLE(a.ra, a.dec, 0.05)) AND "
        )
        found = ask(
            f"SELECT a.objectId AS i, b.objectId AS j FROM sky.Object {joined} WHERE {where}"
            "a.objectId <> b.objectId AND DISTANCE(a.ra, a.dec, 0, 90) < 0.2"
        )
        assert set(zip(found["i"].to_pylist(), found["j"].to_pylist(), strict=True)) == expected
    assert expected


@pytest.mark.req("TAP-3")
def test_a_region_limits_only_rows_that_it_must(ask: Ask, rows: dict[str, pa.Table]) -> None:
    cone = "CONTAINS(POINT(ra, dec), CIRCLE(0, 0, 1))"
    inside = ids(ask, f"{cone} = 1")
    assert len(ids(ask, f"{cone} = 0")) == len(rows["Object"]) - len(inside)
    assert len(ids(ask, f"{cone} = 1 OR n = 3")) > len(inside)
    assert len(ids(ask, f"NOT ({cone} = 1)")) == len(rows["Object"]) - len(inside)
    left = ask(
        "SELECT COUNT(*) AS n, COUNT(o.objectId) AS m FROM sky.Source s LEFT JOIN sky.Object o "
        "ON s.objectId = o.objectId AND 1 = CONTAINS(POINT(o.ra, o.dec), CIRCLE(0, 0, 1))"
    ).to_pylist()[0]
    assert left["n"] == 2000
    assert 0 < left["m"] < 2000


@pytest.mark.req("TAP-11")
def test_a_small_region_touches_few_files_and_ranges(catalogue: Catalogue) -> None:
    query = compile_query(
        "SELECT ra FROM sky.Object WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(200, 30, 0.1))",
        catalogue,
    )
    (scan,) = query.scans
    assert scan.regions == [Circle(200.0, 30.0, 0.1)]
    ranges = cover(scan.regions)
    assert ranges is not None
    assert 0 < len(ranges) <= MAX_RANGES
    area = (ranges[:, 1] - ranges[:, 0]).sum() / (12 * 4**29)
    assert area < 3 * np.sin(np.radians(0.05)) ** 2
    assert isinstance(scan.table.stored, Catalog)
    assert len(scan.table.stored.files_for(ranges)) == 1


@pytest.mark.req("TAP-11")
def test_regions_apart_leave_nothing_to_read(ask: Ask) -> None:
    ranges = cover([Circle(10, 10, 1), Circle(100, -40, 1)])
    assert ranges is not None
    assert len(ranges) == 0
    both = "1 = CONTAINS(POINT(ra, dec), CIRCLE({}, 1))"
    assert ids(ask, f"{both.format('10, 10')} AND {both.format('100, -40')}") == []


@pytest.mark.req("TAP-11")
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=80, unique=True), st.integers(1, 40))
def test_merged_ranges_are_few_and_cover_all(bounds: list[int], limit: int) -> None:
    edges = np.array(sorted(bounds[: len(bounds) // 2 * 2]), np.int64).reshape(-1, 2)
    merged = merge(edges, limit)
    assert len(merged) <= max(limit, 1)
    for lo, hi in edges:
        assert ((merged[:, 0] <= lo) & (merged[:, 1] >= hi)).any()
    assert (merged[1:, 0] >= merged[:-1, 1]).all()
