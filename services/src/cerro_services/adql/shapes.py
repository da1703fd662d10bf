"""Regions of the sky with constant coordinates: what an engine prunes by.

Longitudes and latitudes are in degrees (ICRS). Edges of polygons are arcs of great circles; the
inside is the smaller of the two parts that they cut the sphere into, whatever the order of the
vertices, so a polygon must fit into less than half of the sky.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from cerro_services.adql.errors import AdqlError

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Circle:
    """A circle on the sky.

    Parameters
    ----------
    lon, lat
        Centre in degrees.
    radius
        Radius in degrees.
    """

    lon: float
    lat: float
    radius: float

    @property
    def area(self) -> float:
        """Area in square degrees."""
        half = math.radians(min(self.radius, 180.0)) / 2
        return 4 * math.pi * math.sin(half) ** 2 * math.degrees(1) ** 2


@dataclass(frozen=True)
class Polygon:
    """A polygon on the sky.

    Parameters
    ----------
    vertices
        (longitude, latitude) in degrees, at least three.
    """

    vertices: tuple[tuple[float, float], ...]

    @cached_property
    def centre(self) -> Vector:
        """Unit vector of the point about which the polygon is projected.

        Raises
        ------
        AdqlError
            The polygon does not fit into half of the sky.
        """
        points = [vector(lon, lat) for lon, lat in self.vertices]
        total = tuple(sum(axis) for axis in zip(*points, strict=True))
        norm = math.sqrt(sum(x * x for x in total))
        if norm < 1e-12:
            raise AdqlError(_TOO_WIDE)
        centre = (total[0] / norm, total[1] / norm, total[2] / norm)
        if min(dot(centre, point) for point in points) <= 1e-9:
            raise AdqlError(_TOO_WIDE)
        return centre

    @cached_property
    def basis(self) -> tuple[Vector, Vector]:
        """Two unit vectors that span the plane tangent at the centre."""
        x, y, z = self.centre
        pole = (0.0, 0.0, 1.0) if abs(z) < 0.9 else (1.0, 0.0, 0.0)
        east = _unit(_cross(pole, (x, y, z)))
        return east, _cross((x, y, z), east)

    @cached_property
    def projected(self) -> tuple[tuple[float, float], ...]:
        """Vertices in the gnomonic projection about the centre, where great circles are lines."""
        east, north = self.basis
        flat = []
        for lon, lat in self.vertices:
            point = vector(lon, lat)
            depth = dot(point, self.centre)
            flat.append((dot(point, east) / depth, dot(point, north) / depth))
        return tuple(flat)

    @cached_property
    def normals(self) -> tuple[Vector, ...] | None:
        """Poles of the great circles of the edges, towards the inside; None if not convex.

        A position lies in a convex polygon where its scalar product with each of them is not
        negative.
        """
        flat = self.projected
        turns = []
        for i, (x, y) in enumerate(flat):
            (x0, y0), (x1, y1) = flat[i - 1], flat[(i + 1) % len(flat)]
            turns.append((x - x0) * (y1 - y) - (y - y0) * (x1 - x))
        if min(turns) <= 0 <= max(turns) or self._winds() != 1:
            return None
        points = [vector(lon, lat) for lon, lat in self.vertices]
        sign = math.copysign(1.0, turns[0])
        normals = []
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            x, y, z = _unit(_cross(a, b))
            normals.append((sign * x, sign * y, sign * z))
        return tuple(normals)

    def _winds(self) -> int:
        """Give how often the edges turn around in all: a pentagram turns one way, but twice."""
        flat, total = self.projected, 0.0
        for i, (x, y) in enumerate(flat):
            (x0, y0), (x1, y1) = flat[i - 1], flat[(i + 1) % len(flat)]
            turn = math.atan2(y1 - y, x1 - x) - math.atan2(y - y0, x - x0)
            total += (turn + math.pi) % (2 * math.pi) - math.pi
        return round(abs(total) / (2 * math.pi))

    @cached_property
    def bounding(self) -> Circle:
        """The circle about the centre that holds all vertices, and so the whole polygon."""
        x, y, z = self.centre
        reach = max(
            math.acos(min(1.0, dot(self.centre, vector(lon, lat)))) for lon, lat in self.vertices
        )
        return Circle(
            math.degrees(math.atan2(y, x)) % 360.0,
            math.degrees(math.asin(max(-1.0, min(1.0, z)))),
            math.degrees(reach),
        )

    @property
    def area(self) -> float:
        """Area in square degrees (the excess of the triangles about the centre)."""
        total = 0.0
        points = [vector(lon, lat) for lon, lat in self.vertices]
        for a, b in zip(points, [*points[1:], points[0]], strict=True):
            triple = dot(self.centre, _cross(a, b))
            total += 2 * math.atan2(
                triple, 1 + dot(self.centre, a) + dot(a, b) + dot(b, self.centre)
            )
        return abs(total) * math.degrees(1) ** 2


Region = Circle | Polygon


@dataclass(frozen=True)
class Compound:
    """Regions put together.

    Parameters
    ----------
    operator
        UNION, INTERSECTION or NOT.
    members
        The regions; of NOT one.
    """

    operator: str
    members: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The region in STC-S."""
        return f"{self.operator} ICRS ({' '.join(map(text_of, self.members))})"


Part = Circle | Polygon | Compound

MAX_VERTICES = 5000
"""Vertices of one polygon."""

_TOO_WIDE = "The polygon spans half of the sky or more. Split it into smaller ones."


def box(lon: float, lat: float, width: float, height: float) -> Polygon:
    """Give the polygon of a BOX (ADQL 2.1 §4.2.9).

    Its sides are great circles at right angles to the ends of a cross at its centre, whose arms
    run along the directions of the coordinates for half of the width and height. About the centre
    the gnomonic projection of such sides is a rectangle.

    Raises
    ------
    AdqlError
        It spans half of the sky or more, or a size is negative.
    """
    if min(width, height) < 0:
        raise AdqlError("The width or height of a box is negative.")
    if max(width, height) >= 180 * (1 - 1e-9):
        raise AdqlError(_TOO_WIDE.replace("polygon", "box"))
    a, d = math.radians(lon), math.radians(lat)
    x, y = math.tan(math.radians(width) / 2), math.tan(math.radians(height) / 2)
    corners = []
    for u, v in ((x, -y), (x, y), (-x, y), (-x, -y)):
        # The tangent plane at the centre: north and east of it, then turned to its longitude.
        depth, up = math.cos(d) - v * math.sin(d), math.sin(d) + v * math.cos(d)
        east, out = depth * math.sin(a) + u * math.cos(a), depth * math.cos(a) - u * math.sin(a)
        corners.append(
            (
                math.degrees(math.atan2(east, out)) % 360.0,
                math.degrees(math.atan2(up, math.hypot(east, out))),
            )
        )
    return Polygon(tuple(corners))


def text_of(part: Part) -> str:
    """Write a region in STC-S."""
    match part:
        case Circle():
            return f"CIRCLE ICRS {part.lon!r} {part.lat!r} {part.radius!r}"
        case Polygon():
            return "POLYGON ICRS " + " ".join(repr(n) for v in part.vertices for n in v)
        case Compound():
            return part.text


def vector(lon: float, lat: float) -> Vector:
    """Give the unit vector of a position in degrees."""
    a, d = math.radians(lon), math.radians(lat)
    return math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)


def dot(a: Vector, b: Vector) -> float:
    """Give the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _unit(a: Vector) -> Vector:
    norm = math.sqrt(dot(a, a))
    return a[0] / norm, a[1] / norm, a[2] / norm
