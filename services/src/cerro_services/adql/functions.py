"""The functions of ADQL: how many arguments they take, what they give, and how DuckDB says it.

Where the meaning differs it is rewritten here: LOG is the natural logarithm, TRUNCATE has an
optional number of digits, SUM of integers stays an integer of 64 bits, and a logarithm, root or
arc function outside its domain is NULL (DuckDB would refuse the whole query).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.errors import AdqlError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

_AB_ZERO = 31.4
"""AB magnitude of 1 nJy: -2.5 log10(1e-32) - 48.60 (Oke & Gunn 1983)."""


@dataclass(frozen=True)
class Function:
    """A function of numbers or strings.

    Parameters
    ----------
    least, most
        Bounds of the number of arguments; `most` is None if there is none.
    datatype
        VOTable datatype of the result; "same" is that of the first argument.
    sql
        From the arguments in DuckDB's SQL to the call.
    unit
        Unit of the result; "same" is that of the first argument.
    ucd
        UCD of the result.
    """

    least: int
    most: int | None
    datatype: str
    sql: Callable[..., str]
    unit: str | None = None
    ucd: str | None = None


def _call(name: str) -> Callable[..., str]:
    return lambda *args: f"{name}({', '.join(args)})"


def _within(name: str, condition: str) -> Callable[..., str]:
    return lambda x: f"CASE WHEN {condition.format(x=x)} THEN {name}({x}) END"


def _truncate(x: str, digits: str = "0") -> str:
    if digits == "0":
        return f"trunc({x})"
    scale = f"power(10e0, {digits})"
    return f"(trunc(({x}) * {scale}) / {scale})"


def _round(x: str, *digits: str) -> str:
    return f"round({', '.join((f'CAST({x} AS DOUBLE)', *digits))})"


def _magnitude(flux: str) -> str:
    return f"CASE WHEN {flux} > 0 THEN {_AB_ZERO}e0 - 2.5e0 * log10({flux}) END"


def _magnitude_error(flux: str, error: str) -> str:
    return f"CASE WHEN {flux} > 0 THEN 2.5e0 / ln(10e0) * ({error}) / ({flux}) END"


SCALARS: dict[str, Function] = {
    "ABS": Function(1, 1, "same", _call("abs"), unit="same"),
    "ACOS": Function(1, 1, "double", _within("acos", "{x} BETWEEN -1 AND 1"), unit="rad"),
    "ASIN": Function(1, 1, "double", _within("asin", "{x} BETWEEN -1 AND 1"), unit="rad"),
    "ATAN": Function(1, 1, "double", _call("atan"), unit="rad"),
    "ATAN2": Function(2, 2, "double", _call("atan2"), unit="rad"),
    "CEILING": Function(1, 1, "double", lambda x: f"ceil(CAST({x} AS DOUBLE))", unit="same"),
    "COALESCE": Function(1, None, "same", _call("coalesce"), unit="same"),
    "COS": Function(1, 1, "double", _call("cos")),
    "COT": Function(1, 1, "double", _within("cot", "{x} <> 0")),
    "DEGREES": Function(1, 1, "double", _call("degrees"), unit="deg"),
    "EXP": Function(1, 1, "double", _call("exp")),
    "FLOOR": Function(1, 1, "double", lambda x: f"floor(CAST({x} AS DOUBLE))", unit="same"),
    "LOG": Function(1, 1, "double", _within("ln", "{x} > 0")),
    "LOG10": Function(1, 1, "double", _within("log10", "{x} > 0")),
    "LOWER": Function(1, 1, "char", _call("lower")),
    "MOD": Function(2, 2, "same", lambda x, y: f"(({x}) % ({y}))"),
    "PI": Function(0, 0, "double", _call("pi")),
    "POWER": Function(2, 2, "double", lambda x, y: f"power(CAST({x} AS DOUBLE), {y})"),
    "RADIANS": Function(1, 1, "double", _call("radians"), unit="rad"),
    "RAND": Function(0, 1, "double", lambda *_: "random()"),
    "ROUND": Function(1, 2, "double", _round, unit="same"),
    "SIN": Function(1, 1, "double", _call("sin")),
    "SQRT": Function(1, 1, "double", _within("sqrt", "{x} >= 0")),
    "TAN": Function(1, 1, "double", _call("tan")),
    "TRUNCATE": Function(1, 2, "double", _truncate, unit="same"),
    "UPPER": Function(1, 1, "char", _call("upper")),
    "SCISQL_NANOJANSKYTOABMAG": Function(1, 1, "double", _magnitude, "mag", "phot.mag"),
    "SCISQL_NANOJANSKYTOABMAGSIGMA": Function(
        2, 2, "double", _magnitude_error, "mag", "stat.error;phot.mag"
    ),
}  # fmt: skip

AGGREGATES = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})

GEOMETRY: dict[str, tuple[int, int | None]] = {
    "AREA": (1, 1),
    "BOX": (3, 5),
    "CENTROID": (1, 1),
    "CIRCLE": (2, 4),
    "CONTAINS": (2, 2),
    "COORD1": (1, 1),
    "COORD2": (1, 1),
    "COORDSYS": (1, 1),
    "DISTANCE": (2, 4),
    "INTERSECTS": (2, 2),
    "POINT": (2, 3),
    "POLYGON": (3, None),
    "REGION": (1, 1),
}
"""Functions of geometry, with the bounds of the number of arguments."""

OTHER: dict[str, tuple[int, int | None]] = {"IN_UNIT": (2, 2), "IVO_HEALPIX_INDEX": (2, 3)}
"""Functions that need more than their arguments' values."""

NAMES = (*SCALARS, *AGGREGATES, *GEOMETRY, *OTHER)

USER_DEFINED: tuple[tuple[str, str], ...] = (
    (
        "scisql_nanojanskyToAbMag(flux DOUBLE) -> DOUBLE",
        "AB magnitude of a flux in nJy; NULL where the flux is not positive.",
    ),
    (
        "scisql_nanojanskyToAbMagSigma(flux DOUBLE, error DOUBLE) -> DOUBLE",
        "Uncertainty of the AB magnitude of a flux in nJy, to first order.",
    ),
)
"""Form and description of the user-defined functions, for the capabilities."""


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
        least, most = (GEOMETRY | OTHER)[name]
    else:
        raise AdqlError(f"There is no function {node.name}.{nearest(name, NAMES)}", span)
    if len(args) < least or (most is not None and len(args) > most):
        count = (
            str(least)
            if least == most
            else f"{least} or more"
            if most is None
            else f"{least} to {most}"
        )
        raise AdqlError(f"{name} takes {count} arguments, not {len(args)}.", span)
    if name in {"POINT", "CIRCLE", "BOX", "POLYGON", "DISTANCE"}:
        _check_shape(name, args, span)
    for arg in args:
        if isinstance(arg, exp.Distinct) and name not in AGGREGATES:
            raise AdqlError(f"{name} takes no DISTINCT.", span)


def without_system(args: list[exp.Expr]) -> tuple[exp.Expr | None, list[exp.Expr]]:
    """Split a geometry's arguments into the coordinate system, if one is given, and the rest."""
    if args and (
        (isinstance(args[0], exp.Literal) and args[0].is_string) or isinstance(args[0], exp.Null)
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
