"""The functions of ADQL: how many arguments they take, what they give, and how DuckDB says it.

Where the meaning differs it is rewritten here: LOG is the natural logarithm, TRUNCATE has an
optional number of digits, SUM of integers stays an integer of 64 bits, and a logarithm, root or
arc function outside its domain is NULL (DuckDB would refuse the whole query).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    scale, rounded = f"power(10e0, {digits})", f"round(CAST({x} AS DOUBLE), {digits})"
    # 1.15 * 100 is less than 115 in binary: what rounding leaves as it is, or less, stays.
    return (
        f"CASE WHEN abs({rounded}) <= abs({x}) THEN {rounded} "
        f"ELSE trunc(({x}) * {scale}) / {scale} END"
    )


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
_GROUPED = frozenset({"IVO_HISTOGRAM", "IVO_STRING_AGG"})
ALL_AGGREGATES = AGGREGATES | _GROUPED
"""What makes one value of many rows."""

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

OTHER: dict[str, tuple[int, int | None]] = {
    "GAIA_HEALPIX_INDEX": (2, 2),
    "IN_UNIT": (2, 2),
    "IVO_EPOCH_PROP": (8, 8),
    "IVO_EPOCH_PROP_POS": (6, 8),
    "IVO_GEOM_TRANSFORM": (3, 3),
    "IVO_HASHLIST_HAS": (2, 2),
    "IVO_HASWORD": (2, 2),
    "IVO_HEALPIX_CENTER": (2, 2),
    "IVO_HEALPIX_INDEX": (2, 3),
    "IVO_HISTOGRAM": (4, 4),
    "IVO_INTERVAL_HAS": (2, 2),
    "IVO_INTERVAL_OVERLAPS": (4, 4),
    "IVO_NOCASEMATCH": (2, 2),
    "IVO_NORMAL_RANDOM": (2, 2),
    "IVO_SIMBADPOINT": (1, 1),
    "IVO_STRING_AGG": (2, 2),
    "IVO_TO_JD": (1, 1),
    "IVO_TO_MJD": (1, 1),
}
"""Functions that need more than the SQL of their arguments; `userdefined` compiles them."""

NAMES = (*SCALARS, *AGGREGATES, *GEOMETRY, *OTHER)

USER_DEFINED: tuple[tuple[str, str], ...] = (
    (
        "gaia_healpix_index(hpxOrder INTEGER, source_id BIGINT) -> BIGINT",
        "HEALPix index (nested) of order 0 to 12 that a source_id of Gaia holds.",
    ),
    (
        "ivo_epoch_prop(ra DOUBLE, dec DOUBLE, parallax DOUBLE, pmra DOUBLE, pmdec DOUBLE, "
        "radial_velocity DOUBLE, ref_epoch DOUBLE, out_epoch DOUBLE) -> DOUBLE[6]",
        "The astrometric parameters at another epoch, for a star that moves along a straight "
        "line: deg, deg, mas, mas/yr (with cos(dec)), mas/yr, km/s; epochs in Julian years. What "
        "is NULL of parallax, motion and velocity counts as 0.",
    ),
    (
        "ivo_epoch_prop_pos(ra DOUBLE, dec DOUBLE, parallax DOUBLE, pmra DOUBLE, pmdec DOUBLE, "
        "radial_velocity DOUBLE, ref_epoch DOUBLE, out_epoch DOUBLE) -> POINT",
        "The position at another epoch; arguments as of ivo_epoch_prop.",
    ),
    (
        "ivo_epoch_prop_pos(ra DOUBLE, dec DOUBLE, pmra DOUBLE, pmdec DOUBLE, ref_epoch DOUBLE, "
        "out_epoch DOUBLE) -> POINT",
        "The position at another epoch by proper motion alone.",
    ),
    (
        "ivo_geom_transform(from_sys TEXT, to_sys TEXT, geo GEOMETRY) -> GEOMETRY",
        "A geometry in another coordinate system: ICRS, FK5, GALACTIC, SUPERGALACTIC, ECLIPTIC, "
        "and FK4 to come from.",
    ),
    (
        "ivo_hashlist_has(hashlist TEXT, item TEXT) -> INTEGER",
        "1 if a word is in a list of words joined by #, whatever their case; 0 otherwise.",
    ),
    (
        "ivo_hasword(haystack TEXT, needle TEXT) -> INTEGER",
        "1 if all words of the needle are words of the haystack, whatever their case and order; "
        "0 otherwise.",
    ),
    (
        "ivo_healpix_center(hpxOrder INTEGER, hpxIndex BIGINT) -> POINT",
        "Centre of a HEALPix cell (nested), for orders 0 to 29.",
    ),
    (
        "ivo_healpix_index(hpxOrder INTEGER, long DOUBLE, lat DOUBLE) -> BIGINT",
        "HEALPix cell (nested) of a position in degrees, for orders 0 to 29.",
    ),
    (
        "ivo_healpix_index(hpxOrder INTEGER, p POINT) -> BIGINT",
        "HEALPix cell (nested) of a point, for orders 0 to 29.",
    ),
    (
        "ivo_histogram(val REAL, lower REAL, upper REAL, nbins INTEGER) -> INTEGER[]",
        "Aggregate: how many values lie below lower, in each of nbins bins, and from upper on; "
        "nbins + 2 numbers.",
    ),
    (
        "ivo_interval_has(val NUMERIC, iv INTERVAL) -> INTEGER",
        "1 if a value lies in an interval, its ends included; 0 otherwise.",
    ),
    (
        "ivo_interval_overlaps(l1 NUMERIC, h1 NUMERIC, l2 NUMERIC, h2 NUMERIC) -> INTEGER",
        "1 if the intervals l1 to h1 and l2 to h2 have a value in common; 0 otherwise.",
    ),
    (
        "ivo_nocasematch(value TEXT, pattern TEXT) -> INTEGER",
        "1 if a text matches a pattern of LIKE, whatever its case; 0 otherwise.",
    ),
    (
        "ivo_normal_random(mu REAL, sigma REAL) -> REAL",
        "A random number of a normal distribution.",
    ),
    (
        "ivo_string_agg(expression TEXT, delimiter TEXT) -> TEXT",
        "Aggregate: the values that are not NULL, in their order, with a delimiter between them.",
    ),
    (
        "ivo_to_jd(d TIMESTAMP) -> DOUBLE",
        "Julian date of a timestamp, whatever its time scale.",
    ),
    (
        "ivo_to_mjd(d TIMESTAMP) -> DOUBLE",
        "Modified Julian date of a timestamp, whatever its time scale.",
    ),
    (
        "scisql_nanojanskyToAbMag(flux DOUBLE) -> DOUBLE",
        "AB magnitude of a flux in nJy; NULL where the flux is not positive.",
    ),
    (
        "scisql_nanojanskyToAbMagSigma(flux DOUBLE, error DOUBLE) -> DOUBLE",
        "Uncertainty of the AB magnitude of a flux in nJy, to first order.",
    ),
)
"""Form and description of the user-defined functions, for the capabilities (TAPRegExt §2.3.1)."""

RESOLVED = (
    "ivo_simbadpoint(identifier TEXT) -> POINT",
    "Position of an object by its name; offered where a resolver is configured.",
)
"""The function that needs a resolver of names."""
