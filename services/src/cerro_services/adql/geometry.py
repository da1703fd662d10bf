"""Geometry of ADQL (§4.2) in SQL: haversine distances, circles, and polygons by projection.

A polygon with constant vertices is projected about its centre by the gnomonic projection, in
which arcs of great circles are straight lines; there the even-odd rule is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sqlglot import exp

from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.errors import AdqlError, NotSupportedError
from cerro_services.adql.functions import without_system
from cerro_services.adql.shapes import Circle, Polygon, box
from cerro_services.adql.values import Disc, Point, Value, number

Span = tuple[int, int] | None
Shape = Point | Disc | Circle | Polygon
_SYSTEMS = frozenset({"", "ICRS", "FK5", "J2000", "ICRS BARYCENTER", "ICRS GEOCENTER"})
_SHAPE_TYPES = {"point": "2", "circle": "3", "polygon": "*"}


def geometry(node: exp.Anonymous, value: Callable[[exp.Expr], Value], span: Span) -> Value:
    """Compile a function of geometry.

    Parameters
    ----------
    node
        The call; its number of arguments is right.
    value
        Compiles an argument.
    span
        Where the call stands in the query.

    Raises
    ------
    AdqlError
        An argument is no geometry, or has no place on the sky.
    NotSupportedError
        A combination that is not offered yet.
    """
    name = node.name.upper()
    system, rest = without_system(list(node.expressions))
    if name in {"POINT", "CIRCLE", "BOX", "POLYGON"}:
        _check_system(system, span)
        return _construct(name, [value(arg) for arg in rest], span)
    args = [value(arg) for arg in node.expressions]
    if name == "DISTANCE":
        return _distance(args, span)
    if name == "CONTAINS":
        first, second = _shape(args[0], span), _shape(args[1], span)
        return _flag(name, _contains(first, second, span), first, second)
    if name == "INTERSECTS":
        first, second = _shape(args[0], span), _shape(args[1], span)
        if not isinstance(first, Point):
            first, second = second, first
        return _flag(name, _intersects(first, second, span), first, second)
    if name in {"COORD1", "COORD2"}:
        point = _point(args[0], span)
        return point.lon if name == "COORD1" else point.lat
    if name == "CENTROID":
        return _centroid(_shape(args[0], span), span)
    if name == "AREA":
        return _area(_shape(args[0], span), span)
    if name == "COORDSYS":
        _shape(args[0], span)
        return Value("'ICRS'", ResultColumn("coordsys", "char", "*"))
    raise NotSupportedError(f"{name} is not offered yet.", span)


def separation(a: Point, b: Point) -> str:
    """Give the SQL of the distance of two positions in degrees."""
    return f"2e0 * degrees(asin(least(1e0, sqrt({_haversine(a, b)}))))"


def within(point: Point, circle: Circle) -> str:
    """Give the SQL of the exact test whether a position lies in a circle, edge included."""
    if circle.radius >= 180.0:
        return f"({point.lon.sql} + {point.lat.sql}) IS NOT NULL"
    limit = math.sin(math.radians(circle.radius) / 2) ** 2
    return f"{_haversine(point, _constant(circle.lon, circle.lat))} <= {number(limit)}"


def inside(point: Point, polygon: Polygon) -> str:
    """Give the SQL of the exact test whether a position lies in a polygon."""
    (cx, cy, cz), (east, north) = polygon.centre, polygon.basis
    lon, lat = f"radians({point.lon.sql})", f"radians({point.lat.sql})"
    x, y, z = f"cos({lat}) * cos({lon})", f"cos({lat}) * sin({lon})", f"sin({lat})"

    def along(axis: tuple[float, float, float]) -> str:
        a, b, c = (number(component) for component in axis)
        return f"({a} * {x} + {b} * {y} + {c} * {z})"

    depth = along((cx, cy, cz))
    if polygon.normals is not None:
        tests = [f"{along(normal)} >= 0" for normal in polygon.normals]
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


def _construct(name: str, args: list[Value], span: Span) -> Value:
    if name == "POINT":
        point = Point(*args)
        _check_latitude(point.lat, span)
        return _shaped(point, f"[CAST({args[0].sql} AS DOUBLE), CAST({args[1].sql} AS DOUBLE)]")
    if name == "CIRCLE":
        centre, radius = (
            (_point(args[0], span), args[1])
            if len(args) == 2
            else (Point(args[0], args[1]), args[2])
        )
        _check_latitude(centre.lat, span)
        if radius.constant is not None and radius.constant < 0:
            raise AdqlError("The radius of a circle is negative.", span)
        parts = (centre.lon, centre.lat, radius)
        sql = "[" + ", ".join(f"CAST({part.sql} AS DOUBLE)" for part in parts) + "]"
        numbers = (centre.lon.constant, centre.lat.constant, radius.constant)
        if None in numbers:
            return _shaped(Disc(centre, radius), sql)
        return _shaped(Circle(*(float(n) for n in numbers if n is not None)), sql)
    if (len(args) == 3 and name == "BOX") or (name == "POLYGON" and args[0].shape is not None):
        flat = [
            n
            for arg in args
            for n in ((_point(arg, span).lon, _point(arg, span).lat) if arg.shape else (arg,))
        ]
    else:
        flat = args
    constants = [arg.constant for arg in flat]
    if None in constants:
        raise NotSupportedError(
            f"{name} with columns or expressions is not offered yet. Write its numbers.", span
        )
    numbers_ = [float(n) for n in constants if n is not None]
    if name == "BOX":
        polygon = box(*numbers_)
    else:
        polygon = Polygon(tuple(zip(numbers_[::2], numbers_[1::2], strict=True)))
    for _, lat in polygon.vertices:
        _check_latitude(Value("", ResultColumn(""), constant=lat), span)
    try:
        _ = polygon.centre
    except AdqlError as error:
        raise AdqlError(error.message, span) from None
    numbers_ = [n for vertex in polygon.vertices for n in vertex]
    return _shaped(polygon, "[" + ", ".join(number(n) for n in numbers_) + "]")


def _shaped(shape: Shape, array: str) -> Value:
    kind = {Point: "point", Disc: "circle", Circle: "circle", Polygon: "polygon"}[type(shape)]
    column = ResultColumn(kind, "double", _SHAPE_TYPES[kind], unit="deg", xtype=kind)
    # A geometry without one of its numbers is NULL: an array with a NULL in it has no place in a
    # VOTable.
    sql = array
    if isinstance(shape, Point | Disc):
        centre = shape if isinstance(shape, Point) else shape.centre
        sql = f"CASE WHEN ({centre.lon.sql} + {centre.lat.sql}) IS NOT NULL THEN {array} END"
    return Value(sql, column, shape=shape)


def _check_system(system: exp.Expr | None, span: Span) -> None:
    if isinstance(system, exp.Literal) and system.name.strip().upper() not in _SYSTEMS:
        raise NotSupportedError(
            f"Positions are in ICRS; {system.name!r} is not offered. Write 'ICRS' or leave it out.",
            span,
        )


def _check_latitude(lat: Value, span: Span) -> None:
    if lat.constant is not None and not -90.0 <= lat.constant <= 90.0:
        raise AdqlError(
            f"A latitude of {lat.constant:g} degrees lies beyond the pole. "
            "Give the longitude first, then the latitude.",
            span,
        )


def _shape(value: Value, span: Span) -> Shape:
    if value.shape is not None:
        return value.shape
    column = value.column
    if column.xtype in {"point", "circle"} and column.datatype == "double":
        parts = [
            Value(f"{value.sql}[{i}]", ResultColumn("", "double", unit="deg")) for i in (1, 2, 3)
        ]
        point = Point(parts[0], parts[1])
        return point if column.xtype == "point" else Disc(point, parts[2])
    raise AdqlError("A geometry is needed: POINT, CIRCLE, BOX, POLYGON or a column of one.", span)


def _point(value: Value, span: Span) -> Point:
    shape = _shape(value, span)
    if not isinstance(shape, Point):
        raise AdqlError("A POINT is needed here.", span)
    return shape


def _distance(args: list[Value], span: Span) -> Value:
    if len(args) == 4:
        a, b = Point(args[0], args[1]), Point(args[2], args[3])
    else:
        a, b = _point(args[0], span), _point(args[1], span)
    column = ResultColumn("distance", "double", unit="deg", ucd="pos.angDistance")
    return Value(f"({separation(a, b)})", column, separation=(a, b))


def _contains(a: Shape, b: Shape, span: Span) -> str:
    if isinstance(a, Point):
        match b:
            case Circle():
                return within(a, b)
            case Polygon():
                return inside(a, b)
            case Disc():
                return f"{separation(a, b.centre)} <= ({b.radius.sql})"
            case Point():
                return f"{_haversine(a, b)} = 0"
    if isinstance(a, Circle | Disc) and isinstance(b, Circle | Disc):
        first, second = _disc(a), _disc(b)
        gap = separation(first.centre, second.centre)
        return f"{gap} + ({first.radius.sql}) <= ({second.radius.sql})"
    raise NotSupportedError(
        "CONTAINS is offered for a point in any shape and a circle in a circle; not for these yet.",
        span,
    )


def _intersects(a: Shape, b: Shape, span: Span) -> str:
    if isinstance(a, Point):
        return _contains(a, b, span)
    if isinstance(a, Circle | Disc) and isinstance(b, Circle | Disc):
        first, second = _disc(a), _disc(b)
        gap = separation(first.centre, second.centre)
        return f"{gap} <= ({first.radius.sql}) + ({second.radius.sql})"
    raise NotSupportedError(
        "INTERSECTS is offered for points and circles; not for polygons among each other yet.", span
    )


def _centroid(shape: Shape, span: Span) -> Value:
    match shape:
        case Point():
            lon, lat = shape.lon, shape.lat
        case Disc():
            lon, lat = shape.centre.lon, shape.centre.lat
        case Circle():
            lon, lat = _numeric(shape.lon), _numeric(shape.lat)
        case Polygon():
            raise NotSupportedError("CENTROID of a polygon is not offered yet.", span)
    return _construct("POINT", [lon, lat], span)


def _area(shape: Shape, span: Span) -> Value:
    column = ResultColumn("area", "double", unit="deg2")
    match shape:
        case Point():
            raise AdqlError("A point has no area.", span)
        case Circle() | Polygon():
            return Value(number(shape.area), column, constant=shape.area)
        case Disc():
            scale = number(4 * math.pi * math.degrees(1) ** 2)
            return Value(f"({scale} * power(sin(radians({shape.radius.sql}) / 2), 2))", column)


def _flag(name: str, truth: str, first: Shape, second: Shape) -> Value:
    sql = f"CASE WHEN {truth} THEN 1 WHEN NOT ({truth}) THEN 0 END"
    held = (first, second) if isinstance(first, Point) else None
    return Value(sql, ResultColumn(name.lower(), "int"), truth=truth, held=held)


def _disc(shape: Circle | Disc) -> Disc:
    if isinstance(shape, Disc):
        return shape
    return Disc(_constant(shape.lon, shape.lat), _numeric(shape.radius))


def _constant(lon: float, lat: float) -> Point:
    return Point(_numeric(lon), _numeric(lat))


def _numeric(x: float) -> Value:
    return Value(number(x), ResultColumn("", "double"), constant=x)


def _haversine(a: Point, b: Point) -> str:
    """Give sin²(distance / 2) of two positions (Sinnott 1984); exact for small distances."""
    lat = f"power(sin({_half(a.lat, b.lat)}), 2)"
    lon = f"power(sin({_half(a.lon, b.lon)}), 2)"
    return f"({lat} + {_cos(a.lat)} * {_cos(b.lat)} * {lon})"


def _half(a: Value, b: Value) -> str:
    return f"radians(({a.sql}) - ({b.sql})) / 2"


def _cos(lat: Value) -> str:
    if lat.constant is not None:
        return number(math.cos(math.radians(lat.constant)))
    return f"cos(radians({lat.sql}))"
