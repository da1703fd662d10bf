"""Shapes: made of numbers and columns, or found in columns, and written as arrays."""

from __future__ import annotations

from cerro_services.adql.columns import STRINGS, ResultColumn
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.predicates import array, numeric
from cerro_services.adql.shapes import MAX_VERTICES, Circle, Compound, Part, Polygon, box, text_of
from cerro_services.adql.systems import is_icrs, sql_between, to_icrs
from cerro_services.adql.values import Disc, Point, Shape, Sketch, Value, literal, number

Span = tuple[int, int] | None

_SHAPE_TYPES = {"point": "2", "circle": "3", "polygon": "*"}

TEXTS = frozenset(
    {"adql:REGION", "adql:POINT", "adql:CIRCLE", "adql:POLYGON", "region", "shape", "stc-s", "stc"}
)
"""The xtypes of columns that hold a region as text."""

_KINDS = {"point": "d", "circle": "d", "polygon": "p"}


def construct(name: str, args: list[Value], system: str, span: Span) -> Value:
    """Make a POINT, CIRCLE, BOX or POLYGON.

    Parameters
    ----------
    name
        Which.
    args
        Its arguments without the coordinate system.
    system
        The coordinate system, as `systems.system_of` gives it.
    span
        Where it stands in the query.
    """
    if name == "POINT":
        native = Point(*args)
        _check_latitude(native.lat, span)
        point = _converted(native, system, span)
        made = shaped(point)
        if is_icrs(system):
            return Value(made.sql, made.column, shape=point, system=system)
        return Value(made.sql, made.column, shape=point, system=system, native=native)
    if name == "CIRCLE":
        centre, radius = _centred(args, 1, system, span)
        if radius[0].constant is not None and radius[0].constant < 0:
            raise AdqlError("The radius of a circle is negative.", span)
        numbers = (centre.lon.constant, centre.lat.constant, radius[0].constant)
        if None in numbers:
            return shaped(Disc(centre, radius[0]), system)
        return shaped(Circle(*(float(n) for n in numbers if n is not None)), system)
    return _box(args, system, span) if name == "BOX" else _polygon(args, system, span)


def shaped(shape: Shape, system: str = "ICRS") -> Value:
    """Give a shape as a value: an array as DALI (§3.3) has it, or a region's text."""
    match shape:
        case Point():
            kind, numbers = "point", [shape.lon.sql, shape.lat.sql]
        case Disc():
            centre = shape.centre
            kind, numbers = "circle", [centre.lon.sql, centre.lat.sql, shape.radius.sql]
        case Circle():
            kind, numbers = "circle", [number(n) for n in (shape.lon, shape.lat, shape.radius)]
        case Polygon():
            kind, numbers = "polygon", [number(n) for v in shape.vertices for n in v]
        case Compound():
            column = ResultColumn("region", "char", "*", xtype="adql:REGION")
            return Value(literal(text_of(shape)), column, shape=shape, system=system)
        case Sketch():
            column = ResultColumn("polygon", "double", "*", unit="deg", xtype="polygon")
            return Value(shape.sql, column, shape=shape, system=system)
    column = ResultColumn(kind, "double", _SHAPE_TYPES[kind], unit="deg", xtype=kind)
    sql = array(numbers)
    if isinstance(shape, Point | Disc):
        # A geometry without one of its numbers is NULL: an array with a NULL in it has no place
        # in a VOTable.
        sql = f"CASE WHEN ({' + '.join(f'({n})' for n in numbers)}) IS NOT NULL THEN {sql} END"
    return Value(sql, column, shape=shape, system=system)


def shape_of(value: Value, span: Span) -> Shape:
    """Give the shape that a value is.

    Raises
    ------
    AdqlError
        It is none.
    """
    if value.shape is not None:
        return value.shape
    column = value.column
    if column.xtype in _KINDS and column.datatype in {"double", "float"}:
        return listed(value.sql, column.xtype)
    outline = column.xtype is None and (column.ucd or "").startswith("pos.outline")
    if column.datatype in STRINGS and (outline or column.xtype in TEXTS | _KINDS.keys()):
        return Sketch("r", value.sql)
    hint = " Write REGION('…') around a region's text." if column.datatype in STRINGS else ""
    raise AdqlError(
        f"A geometry is needed: POINT, CIRCLE, BOX, POLYGON or a column of one.{hint}", span
    )


def listed(sql: str, kind: str) -> Shape:
    """Give the shape of an array in SQL: a point, circle or polygon."""
    if kind == "polygon":
        return Sketch("p", f"CAST({sql} AS DOUBLE[])")
    lon, lat, radius = (
        Value(f"{sql}[{i}]", ResultColumn("", "double", unit="deg")) for i in (1, 2, 3)
    )
    return Point(lon, lat) if kind == "point" else Disc(Point(lon, lat), radius)


def point_of(value: Value, span: Span) -> Point:
    """Give the point that a value is.

    Raises
    ------
    AdqlError
        It is none.
    """
    shape = shape_of(value, span)
    if isinstance(shape, Circle) and shape.radius == 0:
        return Point(numeric(shape.lon), numeric(shape.lat))
    if not isinstance(shape, Point):
        raise AdqlError("A POINT is needed here.", span)
    return shape


def region(part: Part) -> Value:
    """Give a constant region as a value; a position is a point."""
    if isinstance(part, Circle) and part.radius == 0:
        return shaped(Point(numeric(part.lon), numeric(part.lat)))
    return shaped(part)


def _centred(args: list[Value], others: int, system: str, span: Span) -> tuple[Point, list[Value]]:
    """Split the arguments of a shape into its centre and the rest."""
    if len(args) == others + 1:
        return point_of(args[0], span), args[1:]
    native = Point(args[0], args[1])
    _check_latitude(native.lat, span)
    return _converted(native, system, span), args[2:]


def _box(args: list[Value], system: str, span: Span) -> Value:
    own = system
    if len(args) == 3:
        # The sides of a box run along the coordinates that its centre was given in.
        own = args[0].system or "ICRS"
        centre = args[0].native or point_of(args[0], span)
        args = [centre.lon, centre.lat, *args[1:]]
    _check_latitude(args[1], span)
    numbers = [float(arg.constant) for arg in args if arg.constant is not None]
    if len(numbers) == 4:
        try:
            corners = box(*numbers).vertices
        except AdqlError as error:
            raise AdqlError(error.message, span) from None
        return shaped(Polygon(tuple(to_icrs(own, *corner) for corner in corners)), own)
    if not is_icrs(own):
        raise AdqlError("A BOX of columns is given in ICRS.", span)
    sides = ", ".join(f"CAST({arg.sql} AS DOUBLE)" for arg in args)
    return shaped(Sketch("p", f"sky_box({sides})"))


def _polygon(args: list[Value], system: str, span: Span) -> Value:
    if any(arg.shape is not None or arg.column.is_geometry for arg in args):
        points = [point_of(arg, span) for arg in args]
    else:
        points = []
        for lon, lat in zip(args[::2], args[1::2], strict=True):
            _check_latitude(lat, span)
            points.append(_converted(Point(lon, lat), system, span))
    if len(points) > MAX_VERTICES:
        raise AdqlError(f"A polygon has at most {MAX_VERTICES:,} vertices.", span)
    constants = [n.constant for point in points for n in (point.lon, point.lat)]
    if None in constants:
        numbers = [n.sql for point in points for n in (point.lon, point.lat)]
        return shaped(Sketch("p", array(numbers)), system)
    known = [float(n) for n in constants if n is not None]
    polygon = Polygon(tuple(zip(known[::2], known[1::2], strict=True)))
    try:
        _ = polygon.centre
    except AdqlError as error:
        raise AdqlError(error.message, span) from None
    return shaped(polygon, system)


def _converted(point: Point, system: str, span: Span) -> Point:
    """Give a point of another system in ICRS."""
    if is_icrs(system):
        return point
    lon, lat = point.lon.constant, point.lat.constant
    if lon is not None and lat is not None:
        x, y = to_icrs(system, lon, lat)
        return Point(numeric(x), numeric(y))
    sql = sql_between(system, "ICRS", point.lon.sql, point.lat.sql, span)
    column = ResultColumn("", "double", unit="deg")
    return Point(Value(sql[0], column), Value(sql[1], column))


def _check_latitude(lat: Value, span: Span) -> None:
    if lat.constant is not None and not -90.0 <= lat.constant <= 90.0:
        raise AdqlError(
            f"A latitude of {lat.constant:g} degrees lies beyond the pole. "
            "Give the longitude first, then the latitude.",
            span,
        )
