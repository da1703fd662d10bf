"""Regions with constant coordinates against each other: what `sphere` does, for one pair."""

from __future__ import annotations

import numpy as np

from cerro_services.adql import sphere
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.shapes import Circle, Compound, Part, Polygon

_HARD = (
    "{0} of a {1} is not offered: where it ends depends on all of its parts together. "
    "Ask for each part by itself."
)


def contains(inner: Part, outer: Part) -> bool:
    """Whether a region lies wholly in another.

    Raises
    ------
    AdqlError
        It cannot be told part by part.
    """
    match outer:
        case Compound(operator="INTERSECTION"):
            return all(contains(inner, member) for member in outer.members)
        case Compound(operator="NOT"):
            return not intersects(inner, outer.members[0])
        case Compound(operator="UNION"):
            if isinstance(inner, Compound) and inner.operator == "UNION":
                return all(contains(member, outer) for member in inner.members)
            if any(contains(inner, member) for member in outer.members):
                return True
            if isinstance(inner, Circle) and inner.radius == 0:
                return False
            if not intersects(inner, outer):
                return False
            raise AdqlError(_HARD.format("CONTAINS", "region that spans parts of a UNION"))
    match inner:
        case Compound(operator="UNION"):
            return all(contains(member, outer) for member in inner.members)
        case Compound(operator="INTERSECTION"):
            if any(contains(member, outer) for member in inner.members) or _apart(inner):
                return True
            raise AdqlError(_HARD.format("CONTAINS", "INTERSECTION"))
        case Compound():
            raise AdqlError(_HARD.format("CONTAINS", "NOT"))
    return bool(sphere.contains(shapes(inner), shapes(outer))[0])


def intersects(first: Part, second: Part) -> bool:
    """Whether two regions have a point in common.

    Raises
    ------
    AdqlError
        It cannot be told part by part.
    """
    for a, b in ((first, second), (second, first)):
        match a:
            case Compound(operator="UNION"):
                return any(intersects(member, b) for member in a.members)
            case Compound(operator="NOT"):
                return not contains(b, a.members[0])
            case Compound() if isinstance(b, Circle) and b.radius == 0:
                return contains(b, a)
            case Compound():
                if not all(intersects(member, b) for member in a.members) or _apart(a):
                    return False
                for i, member in enumerate(a.members):
                    # Where all others hold one of them, or what is asked for, that one decides.
                    rest = [other for j, other in enumerate(a.members) if j != i]
                    if all(contains(member, other) for other in rest):
                        return intersects(member, b)
                if not isinstance(b, Compound) and all(contains(b, m) for m in a.members):
                    return True
                raise AdqlError(_HARD.format("INTERSECTS", "INTERSECTION"))
    return bool(sphere.intersects(shapes(first), shapes(second))[0])


def area(part: Part) -> float:
    """Give the area in square degrees.

    Raises
    ------
    AdqlError
        It is that of a compound region.
    """
    if isinstance(part, Compound):
        raise AdqlError(_HARD.format("AREA", part.operator))
    return float(sphere.area(shapes(part))[0])


def centroid(part: Part) -> tuple[float, float]:
    """Give the centre of mass in degrees.

    Raises
    ------
    AdqlError
        It is that of a compound region.
    """
    if isinstance(part, Circle):
        return part.lon, part.lat
    if isinstance(part, Compound):
        raise AdqlError(_HARD.format("CENTROID", part.operator))
    lon, lat = sphere.positions(sphere.centroid(shapes(part)))
    return float(lon[0]), float(lat[0])


def enclosing(circles: list[Circle]) -> Circle:
    """Give a circle that holds others, about their middle."""
    centres = sphere.vectors(
        np.array([circle.lon for circle in circles]), np.array([circle.lat for circle in circles])
    )
    middle = centres.sum(axis=0)
    norm = np.linalg.norm(middle)
    middle = middle / norm if norm > 0 else centres[0]
    reach = np.degrees(sphere.distance(middle, centres)) + [circle.radius for circle in circles]
    lon, lat = sphere.positions(middle)
    return Circle(float(lon), float(lat), min(180.0, float(reach.max()) * (1 + 1e-9)))


def shapes(part: Part) -> sphere.Shapes:
    """Give one shape as `sphere` takes it."""
    if isinstance(part, Circle):
        centre = sphere.vectors(np.array([part.lon]), np.array([part.lat]))
        return sphere.Discs(centre, np.radians(np.array([part.radius])))
    assert isinstance(part, Polygon)
    lon, lat = np.array(part.vertices).T
    return sphere.Polygons(sphere.vectors(lon, lat)[None])


def _apart(part: Compound) -> bool:
    members = part.members
    return any(not intersects(a, b) for i, a in enumerate(members) for b in members[i + 1 :])
