"""Ranges of cells hold the regions that they are made of."""

from __future__ import annotations

import hpgeom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_services.adql import Circle
from cerro_services.engine.coverage import cover, cover_circles, intersection

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
