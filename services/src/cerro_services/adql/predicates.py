"""CONTAINS, INTERSECTS and distances in SQL.

A point in a circle or in a polygon of constants is plain arithmetic, which an engine runs fast and
on all its threads. What has vertices in columns goes through the functions of `kernels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cerro_services.adql import parts
from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.shapes import Circle, Compound, Part, Polygon, text_of
from cerro_services.adql.sphere import EDGE
from cerro_services.adql.values import Disc, Point, Shape, Sketch, Value, literal, number

Span = tuple[int, int] | None
_SLACK = math.degrees(EDGE)
_TRUTH = {True: "TRUE", False: "FALSE"}
_Constant = Circle | Polygon | Compound


def contains(a: Shape, b: Shape, span: Span) -> str:
    """Give the SQL of whether one shape lies wholly in another, boundary included.

    Parameters
    ----------
    a, b
        The shape that is within, and the one around it.
    span
        Where the test stands in the query.

    Raises
    ------
    AdqlError
        It cannot be told of these.
    """
    a, b = _plain(a), _plain(b)
    if isinstance(a, _Constant) and isinstance(b, _Constant):
        return _TRUTH[_located(parts.contains, a, b, span)]
    match b:
        case Compound(operator="NOT"):
            return f"NOT ({intersects(a, b.members[0], span)})"
        case Compound(operator="INTERSECTION"):
            return _joined(" AND ", [contains(a, member, span) for member in b.members])
        case Compound() if isinstance(a, Point):
            return _joined(" OR ", [contains(a, member, span) for member in b.members])
    if isinstance(a, Compound) and a.operator == "UNION" and not isinstance(b, Compound):
        return _joined(" AND ", [contains(member, b, span) for member in a.members])
    if isinstance(a, Point):
        match b:
            case Circle():
                return within(a, b)
            case Polygon():
                return inside(a, b)
            case Disc():
                return f"{separation(a, b.centre)} <= ({b.radius.sql}) + {number(_SLACK)}"
            case Point():
                return f"{haversine(a, b)} <= {number(_limit(0.0))}"
    first, second = _disc(a), _disc(b)
    if first is not None and second is not None:
        gap = separation(first.centre, second.centre)
        test = f"{gap} + ({first.radius.sql}) <= ({second.radius.sql}) + {number(_SLACK)}"
        return f"({test} OR ({second.radius.sql}) >= 180)"
    return _called("contains", a, b)


def intersects(a: Shape, b: Shape, span: Span) -> str:
    """Give the SQL of whether two shapes have a point in common.

    Parameters
    ----------
    a, b
        The shapes.
    span
        Where the test stands in the query.

    Raises
    ------
    AdqlError
        It cannot be told of these.
    """
    a, b = _plain(a), _plain(b)
    if isinstance(a, _Constant) and isinstance(b, _Constant):
        return _TRUTH[_located(parts.intersects, a, b, span)]
    for first, second in ((a, b), (b, a)):
        if isinstance(first, Point):
            return contains(first, second, span)
        match first:
            case Compound(operator="UNION"):
                return _joined(" OR ", [intersects(m, second, span) for m in first.members])
            case Compound(operator="NOT"):
                return f"NOT ({contains(second, first.members[0], span)})"
    one, other = _disc(a), _disc(b)
    if one is not None and other is not None:
        gap = separation(one.centre, other.centre)
        return f"{gap} <= ({one.radius.sql}) + ({other.radius.sql}) + {number(_SLACK)}"
    return _called("intersects", a, b)


def separation(a: Point, b: Point) -> str:
    """Give the SQL of the distance of two positions in degrees."""
    half = f"sqrt({haversine(a, b)})"
    # Not least(1, …), which takes NULL for 1 and puts what has no position 180 degrees away.
    return f"2e0 * degrees(asin(CASE WHEN {half} > 1e0 THEN 1e0 ELSE {half} END))"


def within(point: Point, circle: Circle) -> str:
    """Give the SQL of the exact test whether a position lies in a circle, edge included."""
    if circle.radius >= 180.0:
        return f"({point.lon.sql} + {point.lat.sql}) IS NOT NULL"
    centre = Point(numeric(circle.lon), numeric(circle.lat))
    return f"{haversine(point, centre)} <= {number(_limit(circle.radius))}"


def inside(point: Point, polygon: Polygon) -> str:
    """Give the SQL of the exact test whether a position lies in a polygon.

    About its centre a polygon is projected by the gnomonic projection, in which arcs of great
    circles are straight lines; there the even-odd rule is exact.
    """
    (cx, cy, cz), (east, north) = polygon.centre, polygon.basis
    lon, lat = f"radians({point.lon.sql})", f"radians({point.lat.sql})"
    x, y, z = f"cos({lat}) * cos({lon})", f"cos({lat}) * sin({lon})", f"sin({lat})"

    def along(axis: tuple[float, float, float]) -> str:
        a, b, c = (number(component) for component in axis)
        return f"({a} * {x} + {b} * {y} + {c} * {z})"

    depth = along((cx, cy, cz))
    if polygon.normals is not None:
        tests = [f"{along(normal)} >= {number(-EDGE)}" for normal in polygon.normals]
        return f"({' AND '.join([f'{depth} > 0', *tests])})"
    u, v = f"({along(east)} / {depth})", f"({along(north)} / {depth})"
    flat = polygon.projected
    crossings = []
    for (u1, v1), (u2, v2) in zip(flat, [*flat[1:], flat[0]], strict=True):
        if v1 == v2:
            continue
        slope = number((u2 - u1) / (v2 - v1))
        low, high = sorted((v1, v2))
        crossings.append(
            f"CASE WHEN {v} >= {number(low)} AND {v} < {number(high)} "
            f"AND {u} < {number(u1)} + {slope} * ({v} - {number(v1)}) THEN 1 ELSE 0 END"
        )
    total = " + ".join(crossings) or "0"
    # Beyond the horizon of the projection a position would fold back onto the plane.
    return f"({depth} > 0 AND (({total}) % 2) = 1)"


def haversine(a: Point, b: Point) -> str:
    """Give sin²(distance / 2) of two positions (Sinnott 1984); exact for small distances."""
    lat = f"power(sin({_half(a.lat, b.lat)}), 2)"
    lon = f"power(sin({_half(a.lon, b.lon)}), 2)"
    return f"({lat} + {_cos(a.lat)} * {_cos(b.lat)} * {lon})"


def array(numbers: list[str]) -> str:
    """Give the SQL of an array of doubles."""
    return "[" + ", ".join(f"CAST({sql} AS DOUBLE)" for sql in numbers) + "]"


def numeric(x: float) -> Value:
    """Give a constant as a value."""
    return Value(number(x), ResultColumn("", "double"), constant=x)


def _called(name: str, a: Shape, b: Shape) -> str:
    first, second = _sketch(a), _sketch(b)
    if "r" in (first.kind, second.kind):
        return f"region_{name}({_text(a)}, {_text(b)})"
    return f"sky_{name}({first.sql}, {second.sql}, '{first.kind}{second.kind}')"


def _sketch(shape: Shape) -> Sketch:
    """Give any shape as one that is known row by row."""
    match shape:
        case Sketch():
            return shape
        case Point():
            return Sketch("d", array([shape.lon.sql, shape.lat.sql]))
        case Disc():
            return Sketch(
                "d", array([shape.centre.lon.sql, shape.centre.lat.sql, shape.radius.sql])
            )
        case Circle():
            return Sketch("d", array([number(n) for n in (shape.lon, shape.lat, shape.radius)]))
        case Polygon():
            return Sketch("p", array([number(n) for vertex in shape.vertices for n in vertex]))
    return Sketch("r", literal(text_of(shape)))


def _text(shape: Shape) -> str:
    """Give the SQL of a shape in STC-S."""
    if isinstance(shape, _Constant):
        return literal(text_of(shape))
    sketch = _sketch(shape)
    if sketch.kind == "r":
        return sketch.sql
    word = {"p": "POLYGON ", "d": "POSITION " if isinstance(shape, Point) else "CIRCLE "}
    return f"('{word[sketch.kind]}' || array_to_string({sketch.sql}, ' '))"


def _plain(shape: Shape) -> Shape:
    """Give a point or circle of constants as a constant circle."""
    if isinstance(shape, Point) and None not in (shape.lon.constant, shape.lat.constant):
        return Circle(float(shape.lon.constant or 0), float(shape.lat.constant or 0), 0.0)
    return shape


def _located(test: Callable[[Part, Part], bool], a: Part, b: Part, span: Span) -> bool:
    try:
        return test(a, b)
    except AdqlError as error:
        raise AdqlError(error.message, span) from None


def _joined(word: str, tests: list[str]) -> str:
    return "(" + word.join(f"({test})" for test in tests) + ")"


def _limit(radius: float) -> float:
    return math.sin((math.radians(radius) + EDGE) / 2) ** 2


def _disc(shape: Shape) -> Disc | None:
    match shape:
        case Disc():
            return shape
        case Point():
            return Disc(shape, numeric(0.0))
        case Circle():
            return Disc(Point(numeric(shape.lon), numeric(shape.lat)), numeric(shape.radius))
    return None


def _half(a: Value, b: Value) -> str:
    return f"radians(({a.sql}) - ({b.sql})) / 2"


def _cos(lat: Value) -> str:
    if lat.constant is not None:
        return number(math.cos(math.radians(lat.constant)))
    return f"cos(radians({lat.sql}))"
