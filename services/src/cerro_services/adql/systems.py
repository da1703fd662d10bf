"""Coordinate systems that a geometry may be given in, and the way from them to ICRS.

ADQL 2.1 (§4.2.5) deprecates the argument and lets a service ignore it. Here what is known is
converted, so that `POINT('GALACTIC', l, b)` means what it says, and the rest is refused.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from cerro_services.adql.errors import AdqlError
from cerro_services.adql.shapes import Vector, vector

_Matrix = tuple[Vector, Vector, Vector]

_TO_ICRS: dict[str, _Matrix] = {
    "GALACTIC": (
        (-0.05487565771259163, 0.4941094371927268, -0.8676661375596576),
        (-0.8734370519556159, -0.4448297212232953, -0.19807633727300059),
        (-0.48383507361671546, 0.7469821839866676, 0.45598381368730156),
    ),
    "SUPERGALACTIC": (
        (0.3750155557030316, -0.8983204377276124, 0.2288749093754372),
        (0.34135887185624725, -0.09572710024885117, -0.9350456902649066),
        (0.861880185168319, 0.4287851600030195, 0.27075049949244595),
    ),
    "ECLIPTIC": (
        (1.0, 3.289700413865199e-08, -1.0207044719361121e-07),
        (-7.078368960971556e-08, 0.9174821299149584, -0.39777699944404304),
        (8.056213977613186e-08, 0.39777699944404793, 0.9174821299149556),
    ),
}
"""Rotations to ICRS; ECLIPTIC is that of the mean equinox J2000."""

_NAMES = {
    "": "ICRS",
    "ICRS": "ICRS",
    "UNKNOWN": "UNKNOWN",
    "UNKNOWNFRAME": "UNKNOWN",
    "FK5": "FK5",
    "J2000": "FK5",
    "FK4": "FK4",
    "B1950": "FK4",
    "GALACTIC": "GALACTIC",
    "GALACTIC_II": "GALACTIC",
    "GAL": "GALACTIC",
    "SUPERGALACTIC": "SUPERGALACTIC",
    "SUPER_GALACTIC": "SUPERGALACTIC",
    "ECLIPTIC": "ECLIPTIC",
}
FRAMES = frozenset(name for name in _NAMES if name)
"""Words that name a frame."""

POSITIONS = frozenset(
    ["BARYCENTER", "GEOCENTER", "HELIOCENTER", "LSR", "TOPOCENTER", "RELOCATABLE", "UNKNOWNREFPOS"]
)
FLAVOURS = frozenset(["SPHERICAL2", "CART2", "UNITSPHERE", "CARTESIAN2"])
_LONGEST = 80
_EPOCH = re.compile(r"[JB]\d{4}(\.\d+)?\Z")


@lru_cache(256)
def system_of(text: str, span: tuple[int, int] | None) -> str:
    """Give the name of a coordinate system as ADQL and STC-S write it.

    Parameters
    ----------
    text
        Frame, which may be followed by reference position and flavour; empty for ICRS.
    span
        Where it stands in the query.

    Returns
    -------
    str
        ICRS, FK5, UNKNOWN, FK4, GALACTIC, SUPERGALACTIC or ECLIPTIC.

    Raises
    ------
    AdqlError
        The system is not known.
    """
    words = text.upper().replace(",", " ").split()
    name = _NAMES.get(words[0] if words else "")
    rest = words[1:]
    if words and words[0] in POSITIONS | FLAVOURS:
        name, rest = "UNKNOWN", words[1:]
    known = POSITIONS | FLAVOURS
    if name is None or any(word not in known and not _equinox(name, word) for word in rest):
        raise AdqlError(
            f"{text[:_LONGEST]!r} is not a coordinate system known here. Write 'ICRS', 'FK5', "
            "'FK4', 'GALACTIC', 'SUPERGALACTIC' or 'ECLIPTIC', or leave it out.",
            span,
        )
    return name


def _equinox(name: str, word: str) -> bool:
    own = {"FK5": "J2000", "FK4": "B1950", "ECLIPTIC": "J2000", "ICRS": "J2000"}.get(name)
    return _EPOCH.match(word) is not None and word.removesuffix(".0") == own


def is_icrs(system: str) -> bool:
    """Whether coordinates are taken as ICRS; FK5 differs from it by 0.03 arcsec at most."""
    return system in {"ICRS", "FK5", "UNKNOWN"}


def to_icrs(system: str, lon: float, lat: float) -> tuple[float, float]:
    """Convert a position in degrees to ICRS."""
    if is_icrs(system):
        return lon, lat
    if system == "FK4":
        from astropy.coordinates import SkyCoord

        icrs = SkyCoord(lon, lat, unit="deg", frame="fk4", equinox="B1950").icrs
        return float(icrs.ra.deg), float(icrs.dec.deg)
    v = vector(lon, lat)
    x, y, z = (sum(a * b for a, b in zip(row, v, strict=True)) for row in _TO_ICRS[system])
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def from_icrs(system: str, lon: float, lat: float) -> tuple[float, float]:
    """Convert an ICRS position in degrees to a system other than FK4."""
    if is_icrs(system):
        return lon, lat
    v = vector(lon, lat)
    x, y, z = (sum(a * b for a, b in zip(row, v, strict=True)) for row in _turned(system))
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def sql_between(
    source: str, target: str, lon: str, lat: str, span: tuple[int, int] | None
) -> tuple[str, str]:
    """Give the SQL that converts a position between ICRS and another system.

    Parameters
    ----------
    source, target
        Systems; one of them is taken as ICRS.
    lon, lat
        SQL of the position in degrees.
    span
        Where it stands in the query.

    Returns
    -------
    tuple of str
        SQL of longitude and latitude in degrees.

    Raises
    ------
    AdqlError
        FK4, whose conversion is more than a rotation, is offered for constants only.
    """
    if is_icrs(source) and is_icrs(target):
        return lon, lat
    if "FK4" in (source, target):
        raise AdqlError(
            "FK4 is converted for constants only. Give columns in ICRS, FK5 or GALACTIC.", span
        )
    matrix = _TO_ICRS[source] if is_icrs(target) else _turned(target)
    a, d = f"radians({lon})", f"radians({lat})"
    parts = (f"cos({d}) * cos({a})", f"cos({d}) * sin({a})", f"sin({d})")
    x, y, z = (
        "(" + " + ".join(f"{c!r}e0 * {p}" if "e" not in repr(c) else f"{c!r} * {p}"
                         for c, p in zip(row, parts, strict=True)) + ")"
        for row in matrix
    )  # fmt: skip
    return (
        f"((degrees(atan2({y}, {x})) + 360e0) % 360e0)",
        f"degrees(atan2({z}, sqrt({x} * {x} + {y} * {y})))",
    )


def _turned(system: str) -> _Matrix:
    a, b, c = _TO_ICRS[system]
    return ((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2]))
