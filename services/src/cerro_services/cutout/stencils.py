"""Stencils: the parts of the sky that are cut out (SODA 1.0 §3.3, DALI 1.1 §3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cerro_services.cutout.errors import CutoutError
from cerro_services.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = npt.NDArray[np.float64]
_EDGE = 32
"""Points on an edge."""
_AROUND = 128
"""Points round a circle."""
_MOST_CORNERS = 1000


@dataclass(frozen=True)
class Stencil:
    """A part of the sky.

    Parameters
    ----------
    shape
        CIRCLE, POLYGON or RANGE.
    values
        Its numbers in degrees (ICRS), as the standard orders them.
    """

    shape: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.shape} {' '.join(f'{value:.10g}' for value in self.values)}"

    def outline(self) -> tuple[Points, Points]:
        """Give points on its border.

        Returns
        -------
        tuple of ndarray
            Right ascensions and declinations in degrees, close enough to each other that the
            border between them is straight.
        """
        if self.shape == "CIRCLE":
            return _circle(*self.values)
        if self.shape == "POLYGON":
            return _polygon(self.values)
        return _range(*self.values)


def stencils(parameters: Parameters) -> list[Stencil]:
    """Read the stencils of a request: CIRCLE, POLYGON and POS, each of them any number of times.

    Raises
    ------
    CutoutError
        One is wrong; it is named.
    """
    made = [
        stencil_of(shape, text)
        for shape in ("CIRCLE", "POLYGON")
        for text in parameters.values.get(shape, ())
        if text.strip()
    ]
    for text in parameters.values.get("POS", ()):
        if text.strip():
            shape, _, rest = text.strip().partition(" ")
            made.append(stencil_of(shape.upper(), rest, given=f"POS={text}"))
    return made


def stencil_of(shape: str, text: str, given: str = "") -> Stencil:
    """Read a stencil.

    Parameters
    ----------
    shape
        CIRCLE, POLYGON or RANGE.
    text
        Its numbers.
    given
        What the client wrote, for the error.

    Raises
    ------
    CutoutError
        It is wrong.
    """
    said = (given or f"{shape}={text}")[:200]
    words = text.split()
    try:
        values = [float(word) for word in words[: 2 * _MOST_CORNERS + 1]]
    except ValueError:
        raise CutoutError(f"{said}: numbers of degrees with blanks between them.") from None
    if shape == "CIRCLE":
        _check(said, values, len(values) == 3, "CIRCLE takes ra, dec and radius in degrees")
        _check(said, values, 0 < values[2] <= 90, "the radius must be above 0, and 90 at most")
        _places(said, values[:2])
    elif shape == "POLYGON":
        enough = len(values) >= 6 and len(values) % 2 == 0
        _check(said, values, enough, "POLYGON takes ra and dec of three corners or more")
        few = len(values) <= 2 * _MOST_CORNERS
        _check(said, values, few, f"a polygon has {_MOST_CORNERS:,} corners at most")
        _places(said, values)
    elif shape == "RANGE":
        _check(said, values, len(values) == 4, "RANGE takes two longitudes and two latitudes")
        values = [_clipped(value, *_ENDS[i]) for i, value in enumerate(values)]
        _places(said, [values[0], values[2], values[1], values[3]])
        _check(said, values, values[2] < values[3], "the second latitude must be the greater")
        _check(said, values, values[0] != values[1], "the longitudes must differ")
    else:
        raise CutoutError(f"{said}: POS begins with CIRCLE, RANGE or POLYGON.")
    return Stencil(shape, tuple(values))


_ENDS = ((0.0, 360.0), (0.0, 360.0), (-90.0, 90.0), (-90.0, 90.0))


def _clipped(value: float, least: float, most: float) -> float:
    """Give the end of the sky where an interval is open (DALI 1.1 §3.3.2)."""
    return {math.inf: most, -math.inf: least}.get(value, value)


def _check(said: str, values: Sequence[float], right: bool, message: str) -> None:  # noqa: FBT001
    finite = all(math.isfinite(v) for v in values) or said.upper().startswith("POS=RANGE")
    if not right or not finite:
        raise CutoutError(f"{said}: {message}.")


def _places(said: str, values: Sequence[float]) -> None:
    for ra, dec in zip(values[::2], values[1::2], strict=True):
        if not (0 <= ra <= 360 and -90 <= dec <= 90):
            raise CutoutError(
                f"{said}: {ra:g} {dec:g} is no place; ra is from 0 to 360, dec from -90 to 90."
            )


def _circle(ra: float, dec: float, radius: float) -> tuple[Points, Points]:
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    a, d, r = np.radians([ra, dec, radius])
    sin_dec = np.sin(d) * np.cos(r) + np.cos(d) * np.sin(r) * np.cos(angle)
    east = np.sin(angle) * np.sin(r) * np.cos(d)
    lon = a + np.arctan2(east, np.cos(r) - np.sin(d) * sin_dec)
    return np.degrees(lon) % 360, np.degrees(np.arcsin(np.clip(sin_dec, -1, 1)))


def _polygon(values: Sequence[float]) -> tuple[Points, Points]:
    """Give points on great circles between the corners."""
    lon, lat = np.radians(values[::2]), np.radians(values[1::2])
    corners = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    after = np.roll(corners, -1, axis=0)
    part = np.linspace(0, 1, _EDGE, endpoint=False)[:, None, None]
    # The chord, put back on the sphere.
    points = (corners * (1 - part) + after * part).reshape(-1, 3)
    lengths = np.linalg.norm(points, axis=1)
    points = points[lengths > 1e-9] / lengths[lengths > 1e-9, None]
    return (
        np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360,
        np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1))),
    )


def _range(west: float, east: float, south: float, north: float) -> tuple[Points, Points]:
    """Give points on the meridians and parallels of a box; it may hold RA 0."""
    span = east - west if east > west else east - west + 360
    part = np.linspace(0, 1, 4 * _EDGE)
    lon, lat = west + span * part, south + (north - south) * part
    ones = np.ones_like(part)
    return (
        np.concatenate([lon, lon, west * ones, (west + span) * ones]) % 360,
        np.concatenate([south * ones, north * ones, lat, lat]),
    )
