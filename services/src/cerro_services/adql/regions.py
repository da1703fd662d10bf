"""Regions written as text: STC-S (as in REGION and ObsCore's s_region) and DALI's shapes.

The work is bounded: so many characters, shapes and levels and no more.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from cerro_services.adql.errors import AdqlError
from cerro_services.adql.shapes import MAX_VERTICES, Circle, Compound, Part, Polygon, box
from cerro_services.adql.systems import FLAVOURS, FRAMES, POSITIONS, system_of, to_icrs

LONGEST = 200_000
_SHORT = 2000
"""Regions up to this length are remembered: a column often repeats them row after row."""
_SHAPES, _DEEPEST = 200, 12
_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\Z")
_COUNTS = {"POSITION": 2, "POINT": 2, "CIRCLE": 3, "BOX": 4}
_SETS = frozenset({"UNION", "INTERSECTION", "NOT"})
_FORMS = "Write for example 'CIRCLE ICRS 10 -20 1.5', 'POLYGON ICRS 1 1 2 1 2 2' or 'UNION (…)'."


def parse_region(text: str) -> Part:
    """Read a region.

    Parameters
    ----------
    text
        POSITION, CIRCLE, BOX, POLYGON, or UNION, INTERSECTION and NOT of them, in STC-S; without
        a frame this is DALI's form of a point, circle or polygon.

    Returns
    -------
    Circle, Polygon or Compound
        In ICRS. A position is a circle of radius 0.

    Raises
    ------
    AdqlError
        The text is no region, or is too long.
    """
    if len(text) > LONGEST:
        raise AdqlError(f"The region is longer than {LONGEST:,} characters.")
    return _remembered(text) if len(text) <= _SHORT else _parsed(text)


def _parsed(text: str) -> Part:
    reader = _Reader(_TOKEN.findall(text))
    region = reader.region("ICRS", 0)
    reader.finish()
    return region


_remembered = lru_cache(4096)(_parsed)


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._shapes = 0

    def region(self, system: str, depth: int) -> Part:
        if depth > _DEEPEST:
            raise AdqlError("The region is nested too deeply.")
        word = self._next().upper()
        self._shapes += 1
        if self._shapes > _SHAPES:
            raise AdqlError(f"A region has at most {_SHAPES} shapes.")
        if word == "FILLFACTOR" or word not in {*_COUNTS, *_SETS, "POLYGON"}:
            raise AdqlError(f"{word[:40]} is not a region known here. {_FORMS}")
        system = self._frame(system)
        if word in _SETS:
            return self._set(word, system, depth)
        numbers = self._numbers(None if word == "POLYGON" else _COUNTS[word])
        return self._shape(word, numbers, system)

    def finish(self) -> None:
        """Read what may follow a region, and refuse the rest."""
        while self._peek() is not None:
            word = self._next().upper()
            if word == "UNIT" and self._next().lower() in {"deg", "degree", "degrees"}:
                continue
            raise AdqlError(f"{word[:40]!r} has no place at the end of a region. {_FORMS}")

    def _set(self, word: str, system: str, depth: int) -> Part:
        if self._next() != "(":
            raise AdqlError(f"{word} needs its regions in parentheses. {_FORMS}")
        members = []
        while self._peek() not in {")", None}:
            members.append(self.region(system, depth + 1))
        if self._next() != ")" or not members or (word == "NOT" and len(members) > 1):
            raise AdqlError(f"{word} is not closed, or has too few or too many regions. {_FORMS}")
        if len(members) == 1 and word != "NOT":
            return members[0]
        return Compound(word, tuple(members))

    def _shape(self, word: str, numbers: list[float], system: str) -> Part:
        if word == "POLYGON":
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            if len(points) > 3 and points[0] == points[-1]:
                points.pop()
            shape: Part = Polygon(tuple(self._icrs(system, *point) for point in points))
        elif word == "BOX":
            lon, lat, width, height = numbers
            self._icrs("ICRS", lon, lat)
            corners = box(lon, lat, width, height).vertices
            shape = Polygon(tuple(to_icrs(system, *corner) for corner in corners))
        else:
            lon, lat = self._icrs(system, numbers[0], numbers[1])
            radius = numbers[2] if word == "CIRCLE" else 0.0
            if radius < 0:
                raise AdqlError("The radius of a circle is negative.")
            return Circle(lon, lat, radius)
        assert isinstance(shape, Polygon)
        _ = shape.centre
        return shape

    def _icrs(self, system: str, lon: float, lat: float) -> tuple[float, float]:
        if abs(lat) > 90:
            raise AdqlError(f"The latitude {lat} of a region is beyond the pole.")
        return to_icrs(system, lon, lat)

    def _frame(self, system: str) -> str:
        words = []
        while (word := (self._peek() or "").upper()) in FRAMES | POSITIONS | FLAVOURS:
            words.append(word)
            self._next()
        return system_of(" ".join(words), None) if words else system

    def _numbers(self, count: int | None) -> list[float]:
        numbers: list[float] = []
        while self._peek() is not None and _NUMBER.match(self._peek() or ""):
            numbers.append(float(self._next()))
            if math.isinf(numbers[-1]):
                raise AdqlError("A number of the region is too large.")
            if len(numbers) > 2 * MAX_VERTICES:
                raise AdqlError(f"A polygon has at most {MAX_VERTICES:,} vertices.")
            if len(numbers) == count:
                break
        if count is None:
            wrong = len(numbers) < 6 or len(numbers) % 2 == 1
        else:
            wrong = len(numbers) != count
        if wrong:
            raise AdqlError(f"A shape of a region has too few or too many numbers. {_FORMS}")
        return numbers

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self._peek()
        if token is None:
            raise AdqlError(f"The region ends too early. {_FORMS}")
        self._at += 1
        return token
