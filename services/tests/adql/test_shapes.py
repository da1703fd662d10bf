"""Shapes against each other: truth is shapely's, in a projection where great circles are lines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cerro_services.adql.shapes import box

from .tables import Ask, one

Corner = tuple[float, float]

CENTRES = [(0.0, 0.0), (359.9, 30.0), (12.0, 90.0), (200.0, -89.0), (77.0, -45.0)]
ROUND = 720
"""Corners of the polygon that stands for a circle in the truth."""


def vector(lon: float, lat: float) -> np.ndarray:
    a, d = math.radians(lon), math.radians(lat)
    return np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])


def basis(lon: float, lat: float) -> np.ndarray:
    """Give the vectors to a position, and to its east and north."""
    a = math.radians(lon)
    out = vector(lon, lat)
    east = np.array([-math.sin(a), math.cos(a), 0.0])
    return np.stack([out, east, np.cross(out, east)])


def place(centre: Corner, x: float, y: float) -> Corner:
    """Give the position at x, y of the gnomonic projection about a centre."""
    out, east, north = basis(*centre)
    here = out + x * east + y * north
    return (
        math.degrees(math.atan2(here[1], here[0])) % 360,
        math.degrees(math.atan2(here[2], math.hypot(here[0], here[1]))),
    )


def flat(centre: Corner, corners: list[Corner]) -> shapely.Polygon:
    """Give a polygon on the sky in the gnomonic projection about a centre."""
    out, east, north = basis(*centre)
    points = [vector(*corner) for corner in corners]
    return shapely.Polygon([((p @ east) / (p @ out), (p @ north) / (p @ out)) for p in points])


def circle(lon: float, lat: float, radius: float) -> list[Corner]:
    """Give a polygon on the sky that is nearly a circle."""
    out, east, north = basis(lon, lat)
    r = math.radians(radius)
    found = []
    for angle in np.linspace(0, 2 * math.pi, ROUND, endpoint=False):
        p = math.cos(r) * out + math.sin(r) * (math.cos(angle) * east + math.sin(angle) * north)
        found.append((math.degrees(math.atan2(p[1], p[0])) % 360, math.degrees(math.asin(p[2]))))
    return found


@st.composite
def stars(draw: st.DrawFn, centre: Corner) -> list[Corner]:
    """Give a polygon near a centre that does not cross itself, convex or not."""
    x, y = draw(st.floats(-0.4, 0.4)), draw(st.floats(-0.4, 0.4))
    count = draw(st.integers(3, 7))
    turn, size = draw(st.floats(0, 1)), draw(st.floats(0.02, 0.3))
    corners = []
    for k in range(count):
        reach = size * draw(st.floats(0.3, 1))
        angle = (k + turn) * 2 * math.pi / count
        corners.append(place(centre, x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return corners[::-1] if draw(st.booleans()) else corners


def numbers(corners: list[Corner]) -> str:
    return ", ".join(repr(n) for corner in corners for n in corner)


def clear(a: shapely.Polygon, b: shapely.Polygon, slack: float) -> bool:
    """Whether no boundary nearly touches the other, so that rounding decides nothing."""
    edges = a.exterior.distance(b.exterior)
    return bool(edges > slack or a.exterior.crosses(b.exterior))


@pytest.mark.req("ADQL-3")
@settings(max_examples=25, deadline=None)
@given(data=st.data(), centre=st.sampled_from(CENTRES))
def test_polygons_meet_and_hold_each_other(ask: Ask, data: st.DataObject, centre: Corner) -> None:
    a, b = data.draw(stars(centre)), data.draw(stars(centre))
    first, second = flat(centre, a), flat(centre, b)
    assume(first.is_valid and second.is_valid and clear(first, second, 1e-9))
    p, q = f"POLYGON({numbers(a)})", f"POLYGON({numbers(b)})"
    # visit - visit is 0, but makes of the polygon one of columns.
    moving = f"POLYGON({a[0][0]!r} + visit - visit, {numbers(a)[len(repr(a[0][0])) + 2 :]})"
    for shape in (p, moving):
        assert one(ask, f"INTERSECTS({shape}, {q})") == int(first.intersects(second))
        assert one(ask, f"INTERSECTS({q}, {shape})") == int(first.intersects(second))
        assert one(ask, f"CONTAINS({shape}, {q})") == int(second.contains(first))
        assert one(ask, f"CONTAINS({q}, {shape})") == int(first.contains(second))


@pytest.mark.req("ADQL-3")
@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    centre=st.sampled_from(CENTRES),
    x=st.floats(-0.5, 0.5),
    y=st.floats(-0.5, 0.5),
    radius=st.floats(0.1, 25),
)
def test_circles_and_polygons_meet_and_hold_each_other(
    ask: Ask, data: st.DataObject, centre: Corner, x: float, y: float, radius: float
) -> None:
    corners = data.draw(stars(centre))
    lon, lat = place(centre, x, y)
    first, second = flat(centre, corners), flat(centre, circle(lon, lat, radius))
    # The truth's circle has corners: it lies within (1 - cos(pi / n)) of the true one.
    assume(first.is_valid and clear(first, second, 0.05 * math.radians(radius)))
    p, c = f"POLYGON({numbers(corners)})", f"CIRCLE({lon!r}, {lat!r}, {radius!r})"
    moving = f"CIRCLE({lon!r} + visit - visit, {lat!r}, {radius!r})"
    for shape in (c, moving):
        assert one(ask, f"INTERSECTS({shape}, {p})") == int(first.intersects(second))
        assert one(ask, f"CONTAINS({shape}, {p})") == int(first.contains(second))
        assert one(ask, f"CONTAINS({p}, {shape})") == int(second.contains(first))


@pytest.mark.req("ADQL-3")
@settings(max_examples=15, deadline=None)
@given(data=st.data(), centre=st.sampled_from(CENTRES))
def test_areas_and_centroids_of_polygons_are_those_of_many_points(
    ask: Ask, data: st.DataObject, centre: Corner
) -> None:
    corners = data.draw(stars(centre))
    shape = flat(centre, corners)
    assume(shape.is_valid and shape.area > 1e-4)
    # Of the projected polygon: each triangle weighs as much as the sky it stands for.
    out, east, north = basis(*centre)
    solid, mean = 0.0, np.zeros(3)
    low_x, low_y, high_x, high_y = shape.bounds
    steps = 160
    xs = low_x + (np.arange(steps) + 0.5) * (high_x - low_x) / steps
    ys = low_y + (np.arange(steps) + 0.5) * (high_y - low_y) / steps
    u, v = (grid.ravel() for grid in np.meshgrid(xs, ys))
    kept = shapely.contains_xy(shape, u, v)
    u, v = u[kept], v[kept]
    cell = (xs[1] - xs[0]) * (ys[1] - ys[0])
    weight = cell * (1 + u**2 + v**2) ** -1.5
    solid = weight.sum() * math.degrees(1) ** 2
    here = (out + u[:, None] * east + v[:, None] * north) / np.sqrt(1 + u**2 + v**2)[:, None]
    mean = (here * weight[:, None]).sum(axis=0)
    text = numbers(corners)
    area = one(ask, f"AREA(POLYGON({text}))")
    assert isinstance(area, float)
    assert area == pytest.approx(solid, rel=0.05)
    assert one(ask, f"AREA(POLYGON(visit - visit + {text}))") == pytest.approx(area, rel=1e-9)
    point = one(ask, f"CENTROID(POLYGON({text}))")
    assert isinstance(point, list)
    angle = math.acos(min(1.0, vector(*point) @ mean / np.linalg.norm(mean)))
    assert angle < 0.05 * math.sqrt(shape.area)


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # Boundaries belong to their shapes (§4.2.11).
        ("CONTAINS(POINT(0, 0), POLYGON(0, 0, 1, 0, 1, 1))", 1),
        ("CONTAINS(POINT(0.5, 0), POLYGON(0, 0, 1, 0, 1, 1))", 1),
        ("CONTAINS(POINT(0, 1), CIRCLE(0, 0, 1))", 1),
        ("CONTAINS(POINT(90, 45), CIRCLE(90, 15, 30))", 1),
        ("CONTAINS(POINT(visit - visit, 1), CIRCLE(0, 0, 1))", 1),
        ("CONTAINS(POLYGON(0, 0, 1, 0, 1, 1), POLYGON(0, 0, 1, 0, 1, 1))", 1),
        ("CONTAINS(CIRCLE(0, 0, 1), CIRCLE(0, 0, 1))", 1),
        ("INTERSECTS(CIRCLE(0, 0, 1), CIRCLE(0, 2, 1))", 1),
        ("INTERSECTS(POLYGON(0, 0, 1, 0, 1, 1), POLYGON(1, 0, 2, 0, 1, 1))", 1),
        # Over ra 0 and the poles.
        ("INTERSECTS(BOX(359.5, 0, 2, 2), BOX(0.5, 0, 2, 2))", 1),
        ("CONTAINS(POINT(10, 90), POLYGON(0, 80, 90, 80, 180, 80, 270, 80))", 1),
        ("CONTAINS(CIRCLE(45, -90, 1), POLYGON(0, -80, 90, -80, 180, -80, 270, -80))", 1),
        ("CONTAINS(POLYGON(0, 80, 90, 80, 180, 80, 270, 80), CIRCLE(0, 90, 10.1))", 1),
        ("INTERSECTS(POLYGON(0, 80, 90, 80, 180, 80, 270, 80), CIRCLE(0, -90, 10))", 0),
        # Circles of more than half of the sky.
        ("CONTAINS(POLYGON(0, 0, 1, 0, 1, 1), CIRCLE(180, 0, 170))", 0),
        ("CONTAINS(POLYGON(0, 0, 1, 0, 1, 1), CIRCLE(180, 60, 170))", 1),
        ("CONTAINS(CIRCLE(0, 0, 1), CIRCLE(77, 0, 180))", 1),
        # A box without height is a line.
        ("CONTAINS(POINT(2, 3), BOX('FK5', 2, 3, 3, 0))", 1),
        ("AREA(BOX(0, 0, 1, 0))", 0.0),
        ("AREA(POINT(1, 2))", 0.0),
        ("CONTAINS(POINT(1, 2), POINT(1, 2))", 1),
        ("CONTAINS(CIRCLE(1, 2, 1), POINT(1, 2))", 0),
        ("COORD1(CENTROID(POINT(33, 44)))", 33.0),
        ("CONTAINS(POINT(0, 0), POLYGON(POINT(359, -1), POINT(1, -1), POINT(0, 2)))", 1),
        ("CONTAINS(POINT(NULL, 0), BOX(0, 0, 1, 1))", None),
        ("INTERSECTS(POLYGON(0, 0, visit, 0, 1, 1), CIRCLE(0, 0, 1))", 1),
        ("AREA(CIRCLE(0, 0, COALESCE(NULL, 180)))", 4 * math.pi * math.degrees(1) ** 2),
        ("CAST(CAST('1 2 3' AS CIRCLE) AS VARCHAR)", "1.0 2.0 3.0"),
    ],
)
def test_shapes_at_their_limits(ask: Ask, expression: str, value: object) -> None:
    assert one(ask, expression) == (
        pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
    )


@pytest.mark.req("ADQL-3")
@settings(max_examples=25, deadline=None)
@given(
    lon=st.floats(0, 360), lat=st.floats(-90, 90), width=st.floats(0.01, 120),
    height=st.floats(0.01, 120),
)  # fmt: skip
@example(lon=25.4, lat=-20.0, width=10.0, height=10.0)
def test_the_sides_of_a_box_cross_its_arms_at_right_angles(
    lon: float, lat: float, width: float, height: float
) -> None:
    # §4.2.9: arms of half the width and height along the coordinates of the centre.
    out, east, north = basis(lon, lat)
    corners = [vector(*corner) for corner in box(lon, lat, width, height).vertices]
    ends = [
        (math.radians(width) / 2, east, corners[0], corners[1]),
        (math.radians(height) / 2, north, corners[1], corners[2]),
        (math.radians(width) / 2, -east, corners[2], corners[3]),
        (math.radians(height) / 2, -north, corners[3], corners[0]),
    ]
    for reach, way, a, b in ends:
        end = math.cos(reach) * out + math.sin(reach) * way
        pole = np.cross(a, b)
        pole /= np.linalg.norm(pole)
        assert pole @ end == pytest.approx(0, abs=1e-9)
        # The arm's own great circle has its pole in the side's.
        assert pole @ np.cross(out, way) == pytest.approx(0, abs=1e-9)
