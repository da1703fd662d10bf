"""Shapes against each other: truth is shapely's, in a projection where great circles are lines."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.adql.regions import parse_region
from cerro_services.adql.shapes import box
from cerro_services.release.model import Column

from .tables import Answer, in_memory

Ask = Callable[[str], pa.Table]
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


def one(ask: Ask, expression: str) -> object:
    return ask(f"SELECT TOP 1 {expression} AS v FROM sky.Visit").column("v")[0].as_py()


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


SYSTEMS = [
    ("GALACTIC", "galactic"),
    ("SUPERGALACTIC", "supergalactic"),
    ("ECLIPTIC", "barycentricmeanecliptic"),
    ("FK4", "fk4"),
]


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(("system", "frame"), SYSTEMS)
@settings(max_examples=8, deadline=None)
@given(lon=st.floats(0, 359.9), lat=st.floats(-89, 89))
def test_coordinate_systems_are_those_of_astropy(
    ask: Ask, system: str, frame: str, lon: float, lat: float
) -> None:
    from astropy.coordinates import SkyCoord

    extra = {"equinox": "B1950"} if frame == "fk4" else {}
    icrs = SkyCoord(lon, lat, unit="deg", frame=frame, **extra).icrs
    away = one(
        ask, f"DISTANCE(POINT('{system}', {lon!r}, {lat!r}), POINT({icrs.ra.deg}, {icrs.dec.deg}))"
    )
    assert isinstance(away, float)
    assert away < 1e-8
    if system != "FK4":
        column = f"POINT('{system}', {lon!r} + visit - visit, {lat!r})"
        assert one(ask, f"DISTANCE({column}, POINT({icrs.ra.deg}, {icrs.dec.deg}))") < 1e-8
        assert one(ask, f"COORD2({column})") == lat
        assert one(ask, f"COORDSYS({column})") == system
        there = f"POINT({icrs.ra.deg}, {icrs.dec.deg})"
        back = one(ask, f"ivo_geom_transform('ICRS', '{system}', {there})")
        assert isinstance(back, list)
        assert back[1] == pytest.approx(lat, abs=1e-7)


REGIONS = [
    ("POSITION 1 2", "POINT(1, 2)"),
    ("Circle ICRS 10 -20 1.5", "CIRCLE(10, -20, 1.5)"),
    ("CIRCLE GALACTIC 1 2 3", "CIRCLE('GALACTIC', 1, 2, 3)"),
    ("BOX ICRS GEOCENTER SPHERICAL2 10 20 4 2", "BOX(10, 20, 4, 2)"),
    ("polygon 1 1 2 1 2 2 1 2 1 1", "POLYGON(1, 1, 2, 1, 2, 2, 1, 2)"),
    ("UNION (CIRCLE 1 2 3)", "CIRCLE(1, 2, 3)"),
]


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(("text", "shape"), REGIONS)
def test_a_region_is_the_shape_that_its_text_says(ask: Ask, text: str, shape: str) -> None:
    assert one(ask, f"REGION('{text}')") == pytest.approx(one(ask, shape), abs=1e-12)


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(
    ("region", "inside"),
    [
        ("UNION ICRS (CIRCLE 0 0 1 BOX 10 0 2 2)", [1, 0, 1, 0]),
        ("INTERSECTION (CIRCLE 0 0 20 NOT (CIRCLE 0 0 2))", [0, 1, 1, 0]),
        ("NOT (CIRCLE 0 0 5)", [0, 1, 1, 1]),
        ("NOT (UNION (CIRCLE 0 0 1 NOT (CIRCLE 0 0 50)))", [0, 1, 1, 0]),
    ],
)
def test_regions_are_put_together(ask: Ask, region: str, inside: list[int]) -> None:
    for lon, value in zip((0, 7, 10, 90), inside, strict=True):
        for point in (f"POINT({lon}, 0)", f"POINT({lon} + visit - visit, 0)"):
            assert one(ask, f"CONTAINS({point}, REGION('{region}'))") == value
            assert one(ask, f"INTERSECTS(REGION('{region}'), {point})") == value


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "text",
    [
        "", "ELLIPSE 1 2 3 4 5", "CIRCLE 1 2", "CIRCLE 1 2 -3", "CIRCLE 1 95 1", "POLYGON 1 2 3 4",
        "UNION (CIRCLE 1 2 3", "CIRCLE FK3 1 2 3", "CIRCLE 1 2 3 drop table", "NOT (" * 40,
        "UNION (" + "CIRCLE 1 2 3 " * 500 + ")", "POLYGON " + "1 2 " * 60_000,
        "CIRCLE 1 2 nan", "CIRCLE 1 2 1e999", "CIRCLE 1 2 0x10", "POSITION UNKNOWNFRAME TOPOCENTER",
    ],
)  # fmt: skip
def test_text_that_is_no_region_is_refused_in_words(text: str) -> None:
    with pytest.raises(AdqlError):
        parse_region(text)


@pytest.fixture(scope="module")
def shapes() -> Catalogue:
    """Give a table of shapes in every form in which a column can hold one."""
    polygons = [
        [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0], None, [10.0, 0.0, 12.0, 0.0, 11.0, 2.0],
        [1.0, 1.0], [0.0, 80.0, 120.0, 80.0, 240.0, 80.0], [0.0, 0.0, 120.0, 0.0, 240.0, 0.0],
    ]  # fmt: skip
    texts = [
        "POLYGON ICRS 0 0 2 0 2 2 0 2", None, "polygon 10 0 12 0 11 2", "no region",
        "UNION ICRS (CIRCLE 0 90 10 CIRCLE 0 -90 1)", "POLYGON 0 0 120 0 240 0",
    ]  # fmt: skip
    points = [[1.0, 1.0], [1.0, 5.0], [11.0, 1.0], None, [7.0, 89.0], [0.0, 0.0]]
    circles = [
        [1.0, 1.0, 0.5], None, [11.0, 1.0, 5.0], [0.0, 0.0, -1.0],
        [9.0, 90.0, 1.0], [1.0, 1.0, 9.0],
    ]  # fmt: skip
    kind = pa.list_(pa.float64())
    table = pa.table(
        {
            "id": pa.array(range(6), pa.int64()),
            "s_region": pa.array(polygons, kind),
            "stc": pa.array(texts),
            "outline": pa.array(texts),
            "place": pa.array(points, kind),
            "disc": pa.array(circles, kind),
        }
    )
    columns = [
        Column("id", "long"),
        Column("s_region", "double", "*", "deg", xtype="polygon"),
        Column("stc", "string", xtype="adql:REGION"),
        Column("outline", "string", ucd="pos.outline;obs.field"),
        Column("place", "double", "2", "deg", xtype="point"),
        Column("disc", "double", "3", "deg", xtype="circle"),
    ]
    return in_memory("Shape", columns, table)


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("1 = CONTAINS(POINT(1, 1), s_region)", [0]),
        ("1 = CONTAINS(POINT(1, 1), stc)", [0]),
        ("1 = CONTAINS(POINT(1, 1), outline)", [0]),
        ("0 = CONTAINS(POINT(1, 1), s_region)", [2, 4]),
        ("1 = CONTAINS(place, s_region)", [0, 2, 4]),
        ("1 = CONTAINS(place, stc)", [0, 2, 4]),
        ("1 = CONTAINS(disc, s_region)", [0, 4]),
        ("1 = INTERSECTS(disc, s_region)", [0, 2, 4]),
        ("1 = INTERSECTS(s_region, CIRCLE(5, 1, 5.5))", [0, 2]),
        ("1 = INTERSECTS(stc, CIRCLE(5, 1, 5.5))", [0, 2]),
        ("1 = CONTAINS(s_region, CIRCLE(11, 1, 3))", [2]),
        ("1 = CONTAINS(s_region, stc)", [0, 2, 4]),
        ("1 = INTERSECTS(s_region, BOX(1, 1, 30, 4))", [0, 2]),
        ("1 = CONTAINS(s_region, BOX(1, 1, 30, 4))", [0, 2]),
        ("DISTANCE(place, POINT(1, 1)) < 1", [0]),
        ("COORD2(place) = 5", [1]),
        ("AREA(s_region) BETWEEN 3 AND 5", [0]),
        ("AREA(stc) BETWEEN 3 AND 5", [0]),
        ("DISTANCE(CENTROID(s_region), POINT(1, 1)) < 0.1", [0]),
        ("DISTANCE(CENTROID(disc), place) < 0.1", [0, 2]),
        ("1 = INTERSECTS(stc, REGION('UNION (CIRCLE 11 1 1 CIRCLE 0 -89 0.5)'))", [2, 4]),
    ],
)
def test_columns_of_shapes(
    answer: Answer, shapes: Catalogue, condition: str, found: list[int]
) -> None:
    table = answer(f"SELECT id FROM mem.Shape WHERE {condition} ORDER BY id", shapes)
    assert table["id"].to_pylist() == found


@pytest.mark.req("ADQL-3")
def test_a_column_that_is_no_shape_is_refused(shapes: Catalogue) -> None:
    with pytest.raises(AdqlError, match="A geometry is needed"):
        compile_query("SELECT 1 FROM mem.Shape WHERE 1 = CONTAINS(POINT(1, 1), id)", shapes)
    with pytest.raises(AdqlError, match="FK4 is converted for constants only"):
        compile_query("SELECT POINT('FK4', id, id) FROM mem.Shape", shapes)


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "expression",
    [
        f"AREA(POLYGON({', '.join(['id'] * 12_000)}))",
        f"POLYGON({', '.join(['1'] * 12_000)})",
        "BOX(0, 0, 180, 1)",
        "BOX(0, 0, -1, 1)",
        "CIRCLE(0, 0, -1)",
        "POLYGON(0, 0, 120, 0, 240, 0)",
        "REGION('CIRCLE 1 2 3' || 'x')",
        "CAST('1 2' AS CIRCLE)",
        "CAST('x' AS POINT)",
        "CAST(disc AS POLYGON)",
        "CAST(disc AS INTEGER)",
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_words(shapes: Catalogue, expression: str) -> None:
    with pytest.raises(AdqlError):
        compile_query(f"SELECT {expression} FROM mem.Shape", shapes)
