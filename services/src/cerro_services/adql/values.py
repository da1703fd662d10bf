"""A value in a query being compiled: its SQL and what is known of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Union

from cerro_services.adql.columns import ResultColumn

if TYPE_CHECKING:
    from cerro_services.adql.query import Scan
    from cerro_services.adql.shapes import Circle, Compound, Polygon

_LIST = re.compile("\0#([^\0]*)\0")


@dataclass(frozen=True)
class Point:
    """A position whose coordinates are values."""

    lon: Value
    lat: Value


@dataclass(frozen=True)
class Disc:
    """A circle whose centre or radius are values."""

    centre: Point
    radius: Value


@dataclass(frozen=True)
class Sketch:
    """A shape that is known row by row only.

    Parameters
    ----------
    kind
        What the value is: "d" an array of a point or circle, "p" an array of a polygon's vertices,
        "r" a region in text.
    sql
        The value in SQL.
    """

    kind: str
    sql: str


@dataclass(frozen=True)
class Value:
    """A value in a query.

    Parameters
    ----------
    sql
        The value in DuckDB's SQL; of a geometry, an array of its numbers.
    column
        What is known of it as a column.
    constant
        Its number, if it is one.
    origin
        Scan and column, if it is a plain column of a stored table.
    shape
        Its geometry, if it is one.
    truth
        Of CONTAINS and INTERSECTS: the condition itself, which is 1 where it holds.
    separation
        Of DISTANCE: the two positions.
    held
        Of CONTAINS and INTERSECTS with a point: the point and a shape that holds the other one.
    system
        Of a geometry: the coordinate system that it was given in.
    native
        Of a point given in another system than ICRS: its coordinates there.
    """

    sql: str
    column: ResultColumn
    constant: float | None = None
    origin: tuple[Scan, str] | None = None
    shape: Shape | None = None
    truth: str | None = None
    separation: tuple[Point, Point] | None = None
    held: tuple[Point, Shape] | None = None
    system: str | None = None
    native: Point | None = None

    def described(self, column: ResultColumn) -> Value:
        """Give the same value with another description."""
        return replace(self, column=column)


Shape = Union[Point, Disc, Sketch, "Circle", "Polygon", "Compound"]
"""A geometry in a query."""


def literal(text: str) -> str:
    """Write a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Write a name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def number(value: float) -> str:
    """Write a double in SQL, to the last bit."""
    text = repr(float(value))
    return text if "e" in text or "n" in text else f"{text}e0"


def long_list(members: Iterable[object]) -> str:
    """Mark a list of whole numbers, to be written as the database reads it fastest."""
    return f"\0#{', '.join(map(str, members))}\0"


def written_lists(template: str, *, whole: bool) -> str:
    """Write the lists that are marked.

    Parameters
    ----------
    template
        SQL with marks.
    whole
        Whether each is written as one value. DuckDB takes ten times as long to read one value for
        each member, and lets nothing else of Python run meanwhile.
    """
    if "\0#" not in template:
        return template
    return _LIST.sub(r"SELECT unnest('[\1]'::BIGINT[])" if whole else r"\1", template)
