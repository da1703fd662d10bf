"""Geometry of ADQL (§4.2): shapes and what is asked of them, in SQL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from cerro_services.adql import parts
from cerro_services.adql.calls import is_number
from cerro_services.adql.checkcall import without_system
from cerro_services.adql.columns import STRINGS, ResultColumn
from cerro_services.adql.constructors import construct, listed, point_of, region, shape_of, shaped
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.predicates import contains, intersects, numeric, separation
from cerro_services.adql.regions import parse_region
from cerro_services.adql.shapes import (
    Circle,
    Compound,
    Part,
    Polygon,
)
from cerro_services.adql.systems import system_of
from cerro_services.adql.values import Disc, Point, Shape, Sketch, Value, literal, number

Span = tuple[int, int] | None


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
    """
    name = node.name.upper()
    if name in {"POINT", "CIRCLE", "BOX", "POLYGON"}:
        given, rest = without_system(list(node.expressions))
        text = given.name if isinstance(given, exp.Literal) else ""
        system = system_of(text, span) if text.strip() else "ICRS"
        made = [value(arg) for arg in rest]
        _check_numbers(made, span)
        return construct(name, made, system, span)
    args = [value(arg) for arg in node.expressions]
    if name == "REGION":
        return _region(node.expressions[0], span)
    if name == "DISTANCE":
        return _distance(args, span)
    if name == "CONTAINS":
        first, second = shape_of(args[0], span), shape_of(args[1], span)
        return _flag(name, contains(first, second, span), first, second)
    if name == "INTERSECTS":
        first, second = shape_of(args[0], span), shape_of(args[1], span)
        if not isinstance(first, Point):
            first, second = second, first
        return _flag(name, intersects(first, second, span), first, second)
    if name in {"COORD1", "COORD2"}:
        point = args[0].native or point_of(args[0], span)
        return _coordinate(point.lon if name == "COORD1" else point.lat)
    if name == "CENTROID":
        return _centroid(args[0], span)
    if name == "AREA":
        return _area(shape_of(args[0], span), span)
    shape_of(args[0], span)
    return Value(literal(args[0].system or "ICRS"), ResultColumn("coordsys", "char", "*"))


def _region(node: exp.Expr, span: Span) -> Value:
    text = node.unnest()
    if not (isinstance(text, exp.Literal) and text.is_string):
        raise AdqlError("REGION takes a text in quotes, such as 'CIRCLE ICRS 10 -20 1.5'.", span)
    try:
        return region(parse_region(text.this))
    except AdqlError as error:
        raise AdqlError(error.message, span) from None


def _check_numbers(coordinates: list[Value], span: Span) -> None:
    for coordinate in coordinates:
        column = coordinate.column
        if column.datatype in STRINGS and column.name and column.xtype is None:
            raise AdqlError(
                f"{column.name} is a text; a position is two numbers, in decimal degrees "
                "(hours and minutes, and decimal commas, are not read). "
                f"CAST({column.name} AS DOUBLE PRECISION) makes a number of a text such as 10.5.",
                span,
            )
        if not (column.is_geometry or coordinate.shape is not None) and not is_number(column):
            raise AdqlError("A geometry is made of numbers, in decimal degrees.", span)


def _coordinate(value: Value) -> Value:
    """Give a coordinate as it is: a double, in degrees."""
    column = replace(value.column, datatype="double", unit=value.column.unit or "deg")
    if value.column.datatype == "double":
        return value.described(column)
    return replace(value, sql=f"CAST({value.sql} AS DOUBLE)", column=column)


def _distance(args: list[Value], span: Span) -> Value:
    if len(args) == 4:
        _check_numbers(args, span)
        a, b = Point(args[0], args[1]), Point(args[2], args[3])
    else:
        a, b = point_of(args[0], span), point_of(args[1], span)
    column = ResultColumn("distance", "double", unit="deg", ucd="pos.angDistance")
    return Value(f"({separation(a, b)})", column, separation=(a, b))


def _centroid(value: Value, span: Span) -> Value:
    shape = shape_of(value, span)
    match shape:
        case Point():
            return value
        case Disc():
            return shaped(shape.centre)
        case Sketch():
            sql = (
                f"region_centroid({shape.sql})"
                if shape.kind == "r"
                else f"sky_centroid({shape.sql}, '{shape.kind}')"
            )
            column = shaped(Point(numeric(0), numeric(0))).column
            return Value(sql, column, shape=listed(sql, "point"))
    try:
        lon, lat = parts.centroid(shape)
    except AdqlError as error:
        raise AdqlError(error.message, span) from None
    return shaped(Point(numeric(lon), numeric(lat)))


def _area(shape: Shape, span: Span) -> Value:
    column = ResultColumn("area", "double", unit="deg**2", ucd="phys.angArea")
    match shape:
        case Point():
            return Value("0e0", column, constant=0.0)
        case Disc():
            scale = number(4 * math.pi * math.degrees(1) ** 2)
            half = f"radians(least({shape.radius.sql}, 180e0)) / 2"
            return Value(f"({scale} * power(sin({half}), 2))", column)
        case Sketch():
            if shape.kind == "r":
                return Value(f"region_area({shape.sql})", column)
            return Value(f"sky_area({shape.sql}, '{shape.kind}')", column)
    try:
        area = parts.area(shape)
    except AdqlError as error:
        raise AdqlError(error.message, span) from None
    return Value(number(area), column, constant=area)


def _flag(name: str, truth: str, first: Shape, second: Shape) -> Value:
    held = None
    if isinstance(first, Point):
        held = (first, _around(second))
    return Value(f"CAST(({truth}) AS INTEGER)", ResultColumn(name.lower(), "int"),
                 truth=truth, held=held)  # fmt: skip


def _around(shape: Shape) -> Shape:
    """Give a shape that holds another, by which what is read can be limited."""
    match shape:
        case Polygon() if shape.area < 1e-12:
            # A polygon without an inside has a boundary all the same.
            return shape.bounding
        case Compound():
            return _bounding(shape) or shape
    return shape


def _bounding(part: Part) -> Circle | None:
    match part:
        case Circle():
            return part
        case Polygon():
            return part.bounding
        case Compound(operator="INTERSECTION"):
            circles = [circle for member in part.members if (circle := _bounding(member))]
            return min(circles, key=lambda circle: circle.radius, default=None)
        case Compound(operator="UNION"):
            around = [_bounding(member) for member in part.members]
            circles = [circle for circle in around if circle is not None]
            return None if len(circles) < len(around) else parts.enclosing(circles)
    return None
