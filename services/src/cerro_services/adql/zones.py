"""Joins by position: cells of the sky, so that near rows meet in a hash join.

A condition that two positions lie within a constant distance would have the database compare every
row of one table with every row of the other. Here the sky is divided into zones of declination,
each of these into cells of right ascension (Gray et al. 2006, MSR-TR-2006-52), some times as wide
as the distance. A row of one side has the one cell that it lies in; a row of the other is repeated
for each cell that the circle about it touches, mostly one or two. Rows of the same cell are then
tested exactly. A pair meets once, in the cell of the row that is not repeated, so no pair is lost
or doubled.

Where a query is compiled, only marks are written: around everything in FROM, and where the
condition stands. `resolve` turns them into SQL; without zones, the condition becomes a band of
declination, which any engine understands.
"""

# ruff: noqa: S608 - SQL is what this module writes; every name in it is the model's or its own.

from __future__ import annotations

import math
import re
from collections.abc import Collection

from cerro_services.adql.values import number

_NUL, _SEP = "\0", "\1"
_ALIAS = re.compile(r"\b([tqw]\d+(?:_\d+)?)\.")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_NEAR = re.compile(f"{_NUL}~([^{_NUL}]*){_NUL}")
_EDGE = re.compile(f"{_NUL}[\\[\\]][a-z0-9_]+{_NUL}")
_TIMES = 4.0
"""Width of a cell in radii. Measured on 640,000 rows of one square degree, neighbours within 2
arcsec: 4 was fastest of 1, 2, 3, 4, 6 and 10."""
_SMALLEST, _WIDEST = 1e-5, 5.0
"""Height of the lowest zone, and the greatest radius that zones are used for, in degrees."""


def enclosed(alias: str, sql: str) -> str:
    """Mark something in FROM, so that columns can be added to it.

    Parameters
    ----------
    alias
        Its name in SQL.
    sql
        The table expression, with the name.
    """
    return f"{_NUL}[{alias}{_NUL}{sql}{_NUL}]{alias}{_NUL}"


def near(a: tuple[str, str], b: tuple[str, str], radius: float, repeatable: Collection[str]) -> str:
    """Give the mark of a condition that two positions lie within a distance.

    Parameters
    ----------
    a, b
        SQL of longitude and latitude of the positions in degrees.
    radius
        Their greatest distance in degrees.
    repeatable
        Names, in SQL, of what rows may be repeated of: rows without a partner have no part in the
        answer.

    Returns
    -------
    str
        SQL to append to the condition; empty if the sides do not come from one table each.
    """
    first, second = _alias(*a), _alias(*b)
    if first is None or second is None or first == second or not math.isfinite(radius):
        return ""
    if not {first, second} & set(repeatable) or _SEP in "".join((*a, *b)):
        return ""
    may = [str(int(alias in repeatable)) for alias in (first, second)]
    return f"{_NUL}~{_SEP.join((first, *a, may[0], second, *b, may[1], repr(radius)))}{_NUL}"


def resolve(template: str, *, zones: bool) -> str:
    """Turn the marks of a query into SQL.

    Parameters
    ----------
    template
        SQL with marks.
    zones
        Whether to use cells; else a band of declination.
    """
    if f"{_NUL}~" not in template:
        return _EDGE.sub("", template)
    added: dict[str, list[str]] = {}
    repeated: dict[str, tuple[str, str]] = {}

    def condition(match: re.Match[str]) -> str:
        first, lon1, lat1, may1, second, lon2, lat2, may2, distance = match[1].split(_SEP)
        radius = float(distance)
        sides = [(first, lon1, lat1, may1), (second, lon2, lat2, may2)]
        alone = all(template.count(f"{_NUL}[{alias}{_NUL}") == 1 for alias in (first, second))
        for (mine, lon, lat, may), (other, lon0, lat0, _) in (sides, sides[::-1]):
            fits = 0 <= radius <= _WIDEST
            if zones and alone and fits and may == "1" and mine not in repeated:
                name = f"z{len(repeated)}"
                repeated[mine] = _cells(name, lon, lat, radius)
                added.setdefault(other, []).append(f"{_cell(lon0, lat0, radius)} AS {name}")
                return f" AND {mine}.{name} = {other}.{name}"
        # Two positions that close differ as little in latitude; the margin covers rounding.
        reach = number(radius * (1 + 1e-9) + 1e-12)
        return f" AND {lat1} BETWEEN {lat2} - {reach} AND {lat2} + {reach}"

    text = _NEAR.sub(condition, template)
    for alias in {*added, *repeated}:
        columns = "".join(f", {column}" for column in added.get(alias, ()))
        before, after = repeated.get(alias, ("(SELECT *\2 FROM ", ")"))
        text = text.replace(f"{_NUL}[{alias}{_NUL}", before.replace("\2", columns))
        text = text.replace(f"{_NUL}]{alias}{_NUL}", f"{after} AS {alias}")
    return _EDGE.sub("", text)


def _alias(lon: str, lat: str) -> str | None:
    """Give the one name in FROM that a position is made of."""
    found = set(_ALIAS.findall(_TEXT.sub("", f"{lon} {lat}")))
    return found.pop() if len(found) == 1 else None


def _height(radius: float) -> float:
    return max(_TIMES * radius, _SMALLEST)


def _is_place(lon: str, lat: str) -> str:
    return f"isfinite({lon}) AND isfinite({lat}) AND abs({lat}) <= 90e0"


def _number_of_cells(zone: str, height: float) -> str:
    middle = f"({zone} + 0.5e0) * {number(height)} - 90e0"
    return f"CAST(greatest(1e0, floor({number(360 / height)} * cos(radians({middle})))) AS BIGINT)"


def _cell(lon: str, lat: str, radius: float) -> str:
    """Give the SQL of the cell that a position lies in."""
    lon, lat, height = f"CAST({lon} AS DOUBLE)", f"CAST({lat} AS DOUBLE)", _height(radius)
    zone = f"CAST(floor(({lat} + 90e0) / {number(height)}) AS BIGINT)"
    cells = _number_of_cells(zone, height)
    east = f"({lon} - 360e0 * floor({lon} / 360e0))"
    return (
        f"CASE WHEN {_is_place(lon, lat)} THEN {zone} * 4294967296 "
        f"+ CAST(floor({east} * {cells} / 360e0) AS BIGINT) % {cells} END"
    )


def _cells(name: str, lon: str, lat: str, radius: float) -> tuple[str, str]:
    """Give the SQL that repeats rows for each cell that the circle about a position touches."""
    lon, lat, height = f"CAST({lon} AS DOUBLE)", f"CAST({lat} AS DOUBLE)", _height(radius)
    radius = radius * (1 + 1e-9) + 1e-9
    reach, sine = number(radius), number(math.sin(math.radians(radius)))

    def zone(place: str) -> str:
        return f"CAST(greatest(0e0, floor(({place} + 90e0) / {number(height)})) AS BIGINT)"

    # Seen from its centre, a circle reaches furthest in right ascension where a meridian touches
    # it; one about a pole reaches all of them.
    width = (
        f"CASE WHEN abs({lat}) + {reach} < 90e0 "
        f"THEN degrees(asin(least(1e0, {sine} / cos(radians({lat}))))) + 1e-9 ELSE 180e0 END"
    )
    zones = (
        f"unnest(CASE WHEN {_is_place(lon, lat)} THEN "
        f"range({zone(f'{lat} - {reach}')}, {zone(f'{lat} + {reach}')} + 1) END)"
    )
    west, east = (
        f"CAST(floor(({name}l {sign} {name}w) * {name}n / 360e0) AS BIGINT)" for sign in "-+"
    )
    before = (
        f"(SELECT *, {name}z * 4294967296 + ((unnest(range({west}, "
        f"least({east} + 1, {west} + {name}n))) % {name}n) + {name}n) % {name}n AS {name} "
        f"FROM (SELECT *, {_number_of_cells(f'{name}z', height)} AS {name}n "
        f"FROM (SELECT *\2, {lon} AS {name}l, {width} AS {name}w, {zones} AS {name}z FROM "
    )
    return before, ")))"
