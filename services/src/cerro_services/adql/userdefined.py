"""User-defined functions: IVOA's catalogue of them, Gaia's, and what else needs more than SQL.

IVOA Endorsed Note "Catalogue of ADQL User Defined Functions", version 1.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.columns import STRINGS, ResultColumn
from cerro_services.adql.constructors import listed, point_of, shape_of, shaped
from cerro_services.adql.errors import AdqlError, NotSupportedError
from cerro_services.adql.predicates import numeric
from cerro_services.adql.pruning import main_position
from cerro_services.adql.shapes import Circle, Polygon
from cerro_services.adql.systems import from_icrs, is_icrs, sql_between, system_of, to_icrs
from cerro_services.adql.values import Disc, Point, Value, quoted
from cerro_services.release import SPATIAL_INDEX

if TYPE_CHECKING:
    from cerro_services.adql.resolver import Resolve

Span = tuple[int, int] | None
_DEEPEST, _GAIA_DEEPEST = 29, 12
_MOST_BINS = 10_000
_WORDS = r"'[\p{L}\p{N}_]+'"


def user_defined(
    name: str, nodes: list[exp.Expr], args: list[Value], span: Span, resolve: Resolve | None
) -> Value:
    """Compile a call of a function of `functions.OTHER`.

    Parameters
    ----------
    name
        Its name in capitals.
    nodes, args
        Its arguments, as they are written and compiled.
    span
        Where the call stands in the query.
    resolve
        Finds an object's position by its name; None where no resolver is configured.

    Raises
    ------
    AdqlError
        An argument is of the wrong kind.
    """
    match name:
        case "IVO_HEALPIX_INDEX":
            return _healpix_index(args, span)
        case "IVO_HEALPIX_CENTER":
            return _healpix_center(args, span)
        case "GAIA_HEALPIX_INDEX":
            return _gaia_index(args, span)
        case "IVO_EPOCH_PROP" | "IVO_EPOCH_PROP_POS":
            return _moved(name, args, span)
        case "IVO_GEOM_TRANSFORM":
            return _transformed(nodes, args, span)
        case "IVO_SIMBADPOINT":
            return _resolved(nodes[0], span, resolve)
    return _SIMPLE[name](args, span)


def aggregated(name: str, args: list[Value], nodes: list[exp.Expr], span: Span) -> Value:
    """Compile a call of ivo_string_agg or ivo_histogram.

    Parameters
    ----------
    name
        Its name in capitals.
    args, nodes
        Its arguments, compiled and as they are written.
    span
        Where the call stands in the query.
    """
    if name == "IVO_STRING_AGG":
        if not (isinstance(nodes[1], exp.Literal) and nodes[1].is_string):
            raise AdqlError("The delimiter of ivo_string_agg is a text in quotes.", span)
        text = f"CAST({args[0].sql} AS VARCHAR)"
        sql = f"string_agg({text}, {args[1].sql} ORDER BY {text})"
        return Value(sql, ResultColumn("string_agg", "char", "*", ucd=args[0].column.ucd))
    value = _number(args[0], span)
    low, high, bins = (arg.constant for arg in args[1:])
    if low is None or high is None or bins is None or bins != int(bins):
        raise AdqlError("lower, upper and nbins of ivo_histogram are numbers.", span)
    if not (low < high and 1 <= bins <= _MOST_BINS):
        raise AdqlError(f"ivo_histogram needs lower < upper and 1 to {_MOST_BINS:,} bins.", span)
    step = numeric((high - low) / bins).sql
    lower, upper, count = numeric(low).sql, numeric(high).sql, int(bins)
    place = (
        f"CASE WHEN {value} < {lower} THEN 0 WHEN {value} >= {upper} THEN {count + 1} "
        f"WHEN {value} IS NOT NULL "
        f"THEN least({count}, 1 + CAST(floor(({value} - {lower}) / {step}) AS INTEGER)) END"
    )
    sql = (
        f"list_transform(range(0, {count + 2}), "
        f"lambda i: CAST(coalesce(histogram({place})[i], 0) AS INTEGER))"
    )
    return Value(sql, ResultColumn("histogram", "int", "*", ucd="meta.number"))


def _order(value: Value, most: int, span: Span) -> int | None:
    """Give the order of HEALPix if it is a constant; None if it is not."""
    if value.constant is None:
        if not value.column.is_integer:
            raise AdqlError("The order of HEALPix is a whole number.", span)
        return None
    order = int(value.constant)
    if order != value.constant or not 0 <= order <= most:
        raise AdqlError(f"The order of HEALPix is a whole number from 0 to {most}.", span)
    return order


def _healpix_index(args: list[Value], span: Span) -> Value:
    order = _order(args[0], _DEEPEST, span)
    point = point_of(args[1], span) if len(args) == 2 else Point(args[1], args[2])
    column = ResultColumn("healpix", "long", ucd="pos.healpix")
    scan = main_position(point)
    if scan is not None and order is not None and getattr(scan.table.stored, "is_spatial", False):
        # The rows are stored with their cells of order 29.
        scan.columns[SPATIAL_INDEX] = None
        sql = f"t{scan.number}.{quoted(SPATIAL_INDEX)}"
        return Value(f"({sql} >> {2 * (_DEEPEST - order)})" if order < _DEEPEST else sql, column)
    lon, lat = _number(point.lon, span), _number(point.lat, span)
    return Value(f"healpix_index({args[0].sql}, {lon}, {lat})", column)


def _healpix_center(args: list[Value], span: Span) -> Value:
    _order(args[0], _DEEPEST, span)
    if not args[1].column.is_integer:
        raise AdqlError("A HEALPix index is a whole number.", span)
    sql = f"healpix_center({args[0].sql}, {args[1].sql})"
    return Value(sql, _point_column(), shape=listed(sql, "point"))


def _gaia_index(args: list[Value], span: Span) -> Value:
    order = _order(args[0], _GAIA_DEEPEST, span)
    if not args[1].column.is_integer:
        raise AdqlError("A source_id of Gaia is a whole number.", span)
    column = ResultColumn("healpix", "long", ucd="pos.healpix")
    # The upper bits of a source_id are the cell of order 12; 35 bits follow.
    if order is not None:
        return Value(f"({args[1].sql} >> {35 + 2 * (_GAIA_DEEPEST - order)})", column)
    depth = args[0].sql
    shift = f"CAST({35 + 2 * _GAIA_DEEPEST} - 2 * ({depth}) AS BIGINT)"
    fits = f"({depth}) BETWEEN 0 AND {_GAIA_DEEPEST}"
    return Value(f"CASE WHEN {fits} THEN CAST({args[1].sql} AS BIGINT) >> {shift} END", column)


def _moved(name: str, args: list[Value], span: Span) -> Value:
    numbers = [_number(arg, span) for arg in args]
    if len(numbers) == 6:
        ra, dec, pmra, pmdec, reference, target = numbers
        numbers = [ra, dec, "0e0", pmra, pmdec, "0e0", reference, target]
    known = [
        f"coalesce({sql}, 0e0)" if 2 <= place <= 5 else sql for place, sql in enumerate(numbers)
    ]
    sql = f"epoch_prop({', '.join(known)})"
    if name == "IVO_EPOCH_PROP":
        return Value(sql, ResultColumn("epoch_prop", "double", "6"))
    pair = f"list_slice({sql}, 1, 2)"
    return Value(pair, _point_column(), shape=listed(pair, "point"))


def _transformed(nodes: list[exp.Expr], args: list[Value], span: Span) -> Value:
    for node in nodes[:2]:
        if not (isinstance(node, exp.Literal) and node.is_string):
            raise AdqlError("The systems of ivo_geom_transform are texts in quotes.", span)
    source, target = (system_of(node.name, span) for node in nodes[:2])
    if target == "FK4":
        raise NotSupportedError("Geometries are not transformed to FK4.", span)
    shape = args[2].native or shape_of(args[2], span)

    def moved(point: Point) -> tuple[Point, Point]:
        lon, lat = point.lon.constant, point.lat.constant
        column = ResultColumn("", "double", unit="deg")
        if lon is not None and lat is not None:
            icrs = to_icrs(source, lon, lat)
            there = from_icrs(target, *icrs)
            return _constants(*icrs), _constants(*there)
        x, y = sql_between(source, "ICRS", point.lon.sql, point.lat.sql, span)
        u, v = sql_between("ICRS", target, x, y, span)
        return Point(Value(x, column), Value(y, column)), Point(Value(u, column), Value(v, column))

    match shape:
        case Point():
            icrs, there = moved(shape)
            made = shaped(there)
            native = None if is_icrs(target) else there
            return Value(made.sql, made.column, shape=icrs, system=target, native=native)
        case Disc():
            icrs, there = moved(shape.centre)
            made = shaped(Disc(there, shape.radius))
            return Value(made.sql, made.column, shape=Disc(icrs, shape.radius), system=target)
        case Circle():
            lon, lat = to_icrs(source, shape.lon, shape.lat)
            made = shaped(Circle(*from_icrs(target, lon, lat), shape.radius))
            kept = Circle(lon, lat, shape.radius)
            return Value(made.sql, made.column, shape=kept, system=target)
        case Polygon():
            corners = [to_icrs(source, *vertex) for vertex in shape.vertices]
            made = shaped(Polygon(tuple(from_icrs(target, *corner) for corner in corners)))
            kept_ = Polygon(tuple(corners))
            return Value(made.sql, made.column, shape=kept_, system=target)
    raise NotSupportedError(
        "ivo_geom_transform takes points, circles, and polygons of numbers.", span
    )


def _constants(lon: float, lat: float) -> Point:
    return Point(numeric(lon), numeric(lat))


def _resolved(node: exp.Expr, span: Span, resolve: Resolve | None) -> Value:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise AdqlError("ivo_simbadpoint takes a name in quotes, not a column.", span)
    if resolve is None:
        raise NotSupportedError(
            "ivo_simbadpoint is not offered here: no resolver of names is configured "
            "(services: resolver_url in cerro.yaml). Write POINT(ra, dec).",
            span,
        )
    try:
        lon, lat = resolve(node.name)
    except AdqlError as error:
        raise AdqlError(error.message, span) from None
    return shaped(_constants(lon, lat))


def _point_column() -> ResultColumn:
    return ResultColumn("point", "double", "2", unit="deg", xtype="point")


def _number(value: Value, span: Span) -> str:
    if value.column.datatype in {*STRINGS, "boolean"} or value.column.arraysize is not None:
        raise AdqlError("A number is needed here.", span)
    return f"CAST({value.sql} AS DOUBLE)"


def _flag(sql: str) -> Value:
    return Value(f"CAST({sql} AS INTEGER)", ResultColumn("found", "int", ucd="meta.code"))


def _texts(args: list[Value], span: Span) -> list[str]:
    for arg in args:
        if arg.column.datatype not in {*STRINGS, None}:
            raise AdqlError("A text is needed here.", span)
    return [arg.sql for arg in args]


def _hasword(args: list[Value], span: Span) -> Value:
    haystack, needle = (
        f"regexp_extract_all(lower({text}), {_WORDS})" for text in _texts(args, span)
    )
    return _flag(f"list_has_all({haystack}, {needle})")


def _hashlist_has(args: list[Value], span: Span) -> Value:
    words, item = _texts(args, span)
    known = f"list_contains(string_split(lower({words}), '#'), lower({item}))"
    return _flag(f"({known} AND NOT contains({item}, '#'))")


def _nocasematch(args: list[Value], span: Span) -> Value:
    text, pattern = _texts(args, span)
    return _flag(f"({text} ILIKE {pattern})")


def _overlaps(args: list[Value], span: Span) -> Value:
    a, b, c, d = (_number(arg, span) for arg in args)
    return _flag(f"({a} <= {b} AND {c} <= {d} AND {b} >= {c} AND {d} >= {a})")


def _interval_has(args: list[Value], span: Span) -> Value:
    if args[1].column.xtype != "interval":
        raise AdqlError("The second argument of ivo_interval_has is a column of intervals.", span)
    interval = args[1].sql
    return _flag(f"({_number(args[0], span)} BETWEEN ({interval})[1] AND ({interval})[2])")


def _normal(args: list[Value], span: Span) -> Value:
    mu, sigma = (_number(arg, span) for arg in args)
    sql = f"{mu} + {sigma} * sqrt(-2e0 * ln(1e0 - random())) * cos(2e0 * pi() * random())"
    return Value(f"({sql})", ResultColumn("random", "double", unit=args[0].column.unit))


def _days(offset: float, name: str) -> Callable[[list[Value], Span], Value]:
    def compiled(args: list[Value], span: Span) -> Value:
        if args[0].column.xtype != "timestamp" and args[0].column.datatype not in {*STRINGS, None}:
            raise AdqlError("A timestamp is needed here.", span)
        micros = f"epoch_us(CAST({args[0].sql} AS TIMESTAMP))"
        column = ResultColumn(name, "double", unit="d", ucd="time.epoch")
        return Value(f"({micros} / 86400e6 + {offset}e0)", column)

    return compiled


_SIMPLE: dict[str, Callable[[list[Value], Span], Value]] = {
    "IVO_HASHLIST_HAS": _hashlist_has,
    "IVO_HASWORD": _hasword,
    "IVO_INTERVAL_HAS": _interval_has,
    "IVO_INTERVAL_OVERLAPS": _overlaps,
    "IVO_NOCASEMATCH": _nocasematch,
    "IVO_NORMAL_RANDOM": _normal,
    "IVO_TO_JD": _days(2440587.5, "jd"),
    "IVO_TO_MJD": _days(40587.0, "mjd"),
}
