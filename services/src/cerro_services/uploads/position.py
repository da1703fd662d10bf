"""Which columns of an upload are its position on the sky."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release import Column

_NAMES = (
    ("ra", "dec"),
    ("coord_ra", "coord_dec"),
    ("s_ra", "s_dec"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("radeg", "dedeg"),
    ("ra_deg", "dec_deg"),
    ("radeg", "decdeg"),
    ("alpha_j2000", "delta_j2000"),
    ("right_ascension", "declination"),
)
_DEGREES = frozenset({None, "", "deg", "degree", "degrees"})


def find(columns: Sequence[Column]) -> tuple[str, str] | None:
    """Find the columns of the position.

    Parameters
    ----------
    columns
        Of a table.

    Returns
    -------
    tuple of two str, or None
        Names of right ascension and declination in degrees: by UCD (the main ones, or the only
        ones), else by the names in use.
    """
    numbers = [
        c
        for c in columns
        if c.datatype in {"double", "float"} and c.arraysize is None and c.unit in _DEGREES
    ]
    for words in (("meta.main",), ()):
        ra, dec = (_by_ucd(numbers, axis, words) for axis in ("ra", "dec"))
        if len(ra) == 1 and len(dec) == 1:
            return ra[0], dec[0]
    by_name: dict[str, str] = {}
    for column in numbers:
        by_name.setdefault(column.name.lower(), column.name)
    for first, second in _NAMES:
        if first in by_name and second in by_name:
            return by_name[first], by_name[second]
    return None


def _by_ucd(columns: Sequence[Column], axis: str, words: Sequence[str]) -> list[str]:
    old = {f"pos_eq_{axis}_main"} if words else {f"pos_eq_{axis}"}
    found = []
    for column in columns:
        parts = [part.strip() for part in (column.ucd or "").lower().split(";")]
        new = parts[0] == f"pos.eq.{axis}" and all(word in parts for word in words)
        if new or parts[0] in old:
            found.append(column.name)
    return found


class Spread:
    """Learns whether all values of two columns are positions: no null, no NaN, on the sky."""

    def __init__(self) -> None:
        self.whole = True

    def see(self, ra: pa.Array, dec: pa.Array) -> None:
        """Learn from some more rows."""
        self.whole = self.whole and _within(ra, 0.0, 360.0) and _within(dec, -90.0, 90.0)


def _within(values: pa.Array, low: float, high: float) -> bool:
    if values.null_count:
        return False
    inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
    return pc.all(inside).as_py() is not False
