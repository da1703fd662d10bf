"""Calls as they are written: is there such a function, and does it take such arguments."""

from __future__ import annotations

from sqlglot import exp

from cerro_services.adql.errors import AdqlError, nearest
from cerro_services.adql.functions import AGGREGATES, GEOMETRY, NAMES, OTHER, SCALARS

_WRITTEN_OTHERWISE = {
    "CONCAT": "a || b",
    "LN": "LOG(x), the natural logarithm",
    "POW": "POWER(x, y)",
    "CEIL": "CEILING(x)",
    "TRUNC": "TRUNCATE(x)",
    "RANDOM": "RAND()",
    "IFNULL": "COALESCE(x, y)",
    "NVL": "COALESCE(x, y)",
    "ISNULL": "x IS NULL",
    "Q3C_RADIAL_QUERY": "1 = CONTAINS(POINT(ra, dec), CIRCLE(lon, lat, radius))",
    "FGETNEARBYOBJEQ": "1 = CONTAINS(POINT(ra, dec), CIRCLE(lon, lat, radius))",
    **dict.fromkeys(
        ("STDEV", "STD", "STDDEV_POP", "STDDEV_SAMP"), "SQRT(AVG(x * x) - AVG(x) * AVG(x))"
    ),
    "STDDEV": "SQRT(AVG(x * x) - AVG(x) * AVG(x))",
    "VARIANCE": "AVG(x * x) - AVG(x) * AVG(x)",
    "ISNAN": "x IS NULL; releases keep NaN as NULL",
    "GREATEST": "(x + y + ABS(x - y)) / 2",
    "LEAST": "(x + y - ABS(x - y)) / 2",
    "SIGN": "x / ABS(x)",
    "CONVERT": "CAST(x AS type)",
    "STR": "CAST(x AS VARCHAR)",
    "TO_CHAR": "CAST(x AS VARCHAR)",
    "Q3C_JOIN": "DISTANCE(a.ra, a.dec, b.ra, b.dec) < radius, in degrees",
    "Q3C_DIST": "DISTANCE(lon, lat, lon, lat)",
    "STRING_AGG": "ivo_string_agg(text, ', ')",
    "GROUP_CONCAT": "ivo_string_agg(text, ', ')",
    **dict.fromkeys(
        ("MEDIAN", "PERCENTILE", "QUANTILE", "PERCENTILE_CONT", "PERCENTILE_DISC"),
        "ivo_histogram(x, lower, upper, n), which counts the values in bins",
    ),
    **dict.fromkeys(("IF", "IIF", "DECODE"), "each case by itself, joined by UNION ALL"),
    **dict.fromkeys(
        ("YEAR", "MONTH", "DAY", "DATE_PART", "DATE_TRUNC", "DATEDIFF", "DATEADD"),
        "ivo_to_mjd(t), which is a time in days, or compare with TIMESTAMP '2026-01-31'",
    ),
    **dict.fromkeys(("NOW", "GETDATE", "SYSDATE"), "the time in quotes"),
    **dict.fromkeys(
        (
            "LENGTH",
            "LEN",
            "CHAR_LENGTH",
            "SUBSTR",
            "LEFT",
            "RIGHT",
            "REPLACE",
            "STRPOS",
            "CHARINDEX",
        ),
        "LIKE or ILIKE, which compare parts of a text",
    ),
    "BIT_AND": "a & b",
    "BIT_OR": "a | b",
    "BIT_XOR": "a ^ b",
    "BIT_NOT": "~a",
}
"""Functions of other languages, and how ADQL says them."""


def check_call(node: exp.Anonymous, span: tuple[int, int] | None) -> None:
    """Refuse a function that is not there, or is given the wrong number of arguments.

    Parameters
    ----------
    node
        The call.
    span
        Where it stands in the query.

    Raises
    ------
    AdqlError
        With the names that come nearest, or the number of arguments.
    """
    if not isinstance(node.this, str):
        raise AdqlError("A function's name is not written in quotes.", span)
    name, args = node.name.upper(), list(node.expressions)
    if name in SCALARS:
        least, most = SCALARS[name].least, SCALARS[name].most
    elif name in AGGREGATES:
        least, most = 1, 1
    elif name in GEOMETRY or name in OTHER:
        least, most = GEOMETRY.get(name) or OTHER[name]
    elif name in _WRITTEN_OTHERWISE:
        raise AdqlError(
            f"ADQL has no function {node.name}. Write {_WRITTEN_OTHERWISE[name]}.", span
        )
    else:
        hint = nearest(name, NAMES, cutoff=0.6)
        raise AdqlError(f"There is no function {node.name}.{hint}", span)
    if len(args) < least or (most is not None and len(args) > most):
        count = (
            str(least)
            if least == most
            else f"{least} or more"
            if most is None
            else f"{least} to {most}"
        )
        raise AdqlError(f"{name} takes {count} arguments, not {len(args)}.", span)
    if name == "IVO_EPOCH_PROP_POS" and len(args) == 7:
        raise AdqlError(f"{name} takes 6 or 8 arguments, not 7.", span)
    if name in {"POINT", "CIRCLE", "BOX", "POLYGON", "DISTANCE"}:
        _check_shape(name, args, span)
    for arg in args:
        if isinstance(arg, exp.Distinct) and name not in AGGREGATES:
            raise AdqlError(f"{name} takes no DISTINCT.", span)


def without_system(args: list[exp.Expr]) -> tuple[exp.Expr | None, list[exp.Expr]]:
    """Split a geometry's arguments into the coordinate system, if one is given, and the rest."""
    if args and (
        (isinstance(args[0], exp.Literal) and args[0].is_string)
        or (isinstance(args[0], exp.Null) and len(args) > 2)
    ):
        return args[0], args[1:]
    return None, args


def _check_shape(name: str, args: list[exp.Expr], span: tuple[int, int] | None) -> None:
    system, rest = without_system(args)
    numbers = [isinstance(arg.unnest(), exp.Literal | exp.Neg) for arg in rest]
    fits = {
        "POINT": len(rest) == 2,
        "CIRCLE": len(rest) == 3 or (len(rest) == 2 and not numbers[0]),
        "BOX": len(rest) == 4 or (len(rest) == 3 and not numbers[0]),
        "POLYGON": (len(rest) >= 6 and len(rest) % 2 == 0) or (len(rest) >= 3 and not any(numbers)),
        "DISTANCE": system is None and len(rest) in {2, 4},
    }[name]
    if not fits:
        forms = {
            "POINT": "POINT(longitude, latitude)",
            "CIRCLE": "CIRCLE(longitude, latitude, radius) or CIRCLE(point, radius)",
            "BOX": "BOX(longitude, latitude, width, height) or BOX(point, width, height)",
            "POLYGON": "POLYGON(lon1, lat1, lon2, lat2, lon3, lat3, …) or POLYGON(point, …)",
            "DISTANCE": "DISTANCE(point, point) or DISTANCE(lon1, lat1, lon2, lat2)",
        }[name]
        raise AdqlError(f"Write {forms}, in degrees; a coordinate system may come first.", span)
