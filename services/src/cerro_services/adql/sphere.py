"""Shapes on the sphere against each other, many at a time, by unit vectors.

There are two kinds. A disc is a centre with a radius; a point is a disc of radius 0. A polygon is
a list of vertices joined by arcs of great circles; what is inside is the smaller of the two parts
that they cut the sphere into, so it must fit into half of the sky. All angles are in radians here.
A boundary belongs to its shape, so tests at it allow for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

EDGE = 4e-15
"""Rounding of a scalar product of unit vectors, as an angle in radians (a nanoarcsecond)."""
_NARROWEST = 1e-9
"""Least cosine between a polygon's centre and its vertices."""


@dataclass(frozen=True)
class Discs:
    """Discs: centres of shape (n, 3) and radii of shape (n,)."""

    centre: Floats
    radius: Floats


@dataclass(frozen=True)
class Polygons:
    """Polygons of as many vertices each: shape (n, m, 3)."""

    vertices: Floats


Shapes = Discs | Polygons


def vectors(lon: Floats, lat: Floats) -> Floats:
    """Give unit vectors of positions in degrees.

    Parameters
    ----------
    lon, lat
        Longitudes and latitudes in degrees, of any one shape.

    Returns
    -------
    ndarray
        Of the same shape with one more axis of length 3.
    """
    a, d = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)


def positions(vector: Floats) -> tuple[Floats, Floats]:
    """Give longitudes (0 to 360) and latitudes in degrees of vectors of any length."""
    x, y, z = np.moveaxis(vector, -1, 0)
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arctan2(z, np.hypot(x, y)))


def valid(shapes: Shapes) -> Bools:
    """Tell which shapes have a meaning: radii from 0, polygons within half of the sky."""
    if isinstance(shapes, Discs):
        return np.asarray(np.isfinite(shapes.centre).all(axis=-1) & (shapes.radius >= 0))
    centre = _centre(shapes.vertices)
    depth = _dot(shapes.vertices, centre[:, None, :])
    return np.asarray(depth.min(axis=1) > _NARROWEST)


def contains(inner: Shapes, outer: Shapes) -> Bools:
    """Tell which of the first shapes lie wholly in the second, boundary included.

    Parameters
    ----------
    inner, outer
        As many shapes each, or one of either.
    """
    if isinstance(inner, Discs) and isinstance(outer, Discs):
        gap = distance(inner.centre, outer.centre)
        return np.asarray(
            (gap + inner.radius <= outer.radius + _slack(outer)) | (outer.radius >= np.pi)
        )
    if isinstance(inner, Discs):
        assert isinstance(outer, Polygons)
        away, within = _to_edges(inner.centre, outer), inside(inner.centre, outer)
        return np.asarray(within & (away + 1e-15 >= inner.radius * (1 - 1e-12)))
    if isinstance(outer, Discs):
        gap = distance(inner.vertices, outer.centre[:, None, :]).max(axis=1)
        small = gap <= outer.radius + _slack(outer)
        # What a circle of more than half of the sky leaves out is a circle about its antipode.
        rest = Discs(-outer.centre, np.maximum(np.pi - outer.radius, 0.0) * (1 - 1e-12))
        near = (_to_edges(rest.centre, inner) < rest.radius) | inside(rest.centre, inner)
        large = ~near | (outer.radius >= np.pi)
        return np.asarray(np.where(outer.radius <= np.pi / 2, small, large))
    within = _all_inside(inner, outer)
    pierced = _vertices_inside(outer, inner, strictly=True).any(axis=1)
    return np.asarray(within & ~_crossing(inner, outer) & ~pierced)


def intersects(first: Shapes, second: Shapes) -> Bools:
    """Tell which shapes have a point in common.

    Parameters
    ----------
    first, second
        As many shapes each, or one of either.
    """
    if isinstance(first, Discs) and isinstance(second, Discs):
        gap = distance(first.centre, second.centre)
        return np.asarray(gap <= first.radius + second.radius + _slack(first) + _slack(second))
    if isinstance(first, Discs):
        assert isinstance(second, Polygons)
        near = _to_edges(first.centre, second) <= first.radius + _slack(first)
        return np.asarray(near | inside(first.centre, second))
    if isinstance(second, Discs):
        return intersects(second, first)
    touching = _vertices_inside(first, second).any(axis=1)
    touching |= _vertices_inside(second, first).any(axis=1)
    return np.asarray(touching | _crossing(first, second))


def area(shapes: Shapes) -> Floats:
    """Give areas in square degrees."""
    if isinstance(shapes, Discs):
        half = np.minimum(shapes.radius, np.pi) / 2
        steradians = 4 * np.pi * np.sin(half) ** 2
    else:
        a = shapes.vertices
        b, c = np.roll(a, -1, axis=1), _centre(a)[:, None, :]
        excess = np.arctan2(_dot(c, np.cross(a, b)), 1 + _dot(c, a) + _dot(a, b) + _dot(b, c))
        steradians = np.abs(2 * excess.sum(axis=1))
    return np.asarray(steradians * np.degrees(1.0) ** 2)


def centroid(shapes: Shapes) -> Floats:
    """Give vectors towards the centres of mass.

    The integral of the position over a polygon is half the sum, over its edges, of the pole of
    each edge times its length.
    """
    if isinstance(shapes, Discs):
        return shapes.centre
    a = shapes.vertices
    b = np.roll(a, -1, axis=1)
    poles = np.cross(a, b)
    sine = np.linalg.norm(poles, axis=-1)
    length = np.arctan2(sine, _dot(a, b))
    scale = np.divide(length, sine, out=np.ones_like(sine), where=sine > 0)
    total = (poles * scale[..., None]).sum(axis=1)
    mean = _centre(a)
    total *= np.sign(_dot(total, mean))[:, None]
    flat = np.linalg.norm(total, axis=-1) < 1e-14
    return np.asarray(np.where(flat[:, None], mean, total))


def distance(a: Floats, b: Floats) -> Floats:
    """Give the angles between unit vectors in radians; exact for small and large ones."""
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), _dot(a, b)))


def inside(points: Floats, polygons: Polygons) -> Bools:
    """Tell which points lie in polygons, boundary included.

    Parameters
    ----------
    points
        Unit vectors, shape (n, 3) or (1, 3).
    polygons
        As many polygons, or one.
    """
    return _inside(points, polygons) | (_to_edges(points, polygons) <= EDGE)


def _inside(points: Floats, polygons: Polygons) -> Bools:
    # In the gnomonic projection arcs of great circles are lines, and the even-odd rule is exact.
    centre = _centre(polygons.vertices)
    pole = np.where(np.abs(centre[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    east = _unit(np.cross(pole, centre))
    north = np.cross(centre, east)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = _dot(polygons.vertices, centre[:, None, :])
        u1 = _dot(polygons.vertices, east[:, None, :]) / depth
        v1 = _dot(polygons.vertices, north[:, None, :]) / depth
        u2, v2 = np.roll(u1, -1, axis=1), np.roll(v1, -1, axis=1)
        front = _dot(points, centre)
        u, v = (_dot(points, east) / front)[:, None], (_dot(points, north) / front)[:, None]
        spans = (v1 <= v) != (v2 <= v)
        hits = spans & (u < u1 + (v - v1) / (v2 - v1) * (u2 - u1))
    return np.asarray((front > 0) & (hits.sum(axis=1) % 2 == 1))


def _to_edges(points: Floats, polygons: Polygons) -> Floats:
    """Give the distances from points to the nearest edges of polygons in radians."""
    a, p = polygons.vertices, points[:, None, :]
    b = np.roll(a, -1, axis=1)
    poles = np.cross(a, b)
    length = np.linalg.norm(poles, axis=-1)
    poles = poles / np.where(length > 0, length, 1.0)[..., None]
    beside = (_dot(np.cross(poles, a), p) >= 0) & (_dot(np.cross(b, poles), p) >= 0) & (length > 0)
    across = np.abs(np.arcsin(np.clip(_dot(poles, p), -1, 1)))
    corner = distance(a, p)
    return np.asarray(np.where(beside, across, corner).min(axis=1))


def _vertices_inside(first: Polygons, second: Polygons, *, strictly: bool = False) -> Bools:
    """Tell which vertices of the first polygons lie in the second; shape (n, m)."""
    found = []
    for k in range(first.vertices.shape[1]):
        points = first.vertices[:, k, :]
        edge = _to_edges(points, second)
        within = _inside(points, second)
        found.append(within & (edge > 1e-12) if strictly else within | (edge <= EDGE))
    return np.stack(np.broadcast_arrays(*found), axis=1)


def _all_inside(first: Polygons, second: Polygons) -> Bools:
    return np.asarray(_vertices_inside(first, second).all(axis=1))


def _crossing(first: Polygons, second: Polygons) -> Bools:
    """Tell which polygons have edges that cross, in more than a common end."""
    a, c = first.vertices, second.vertices
    b, d = np.roll(a, -1, axis=1), np.roll(c, -1, axis=1)
    n, m = np.cross(a, b), np.cross(c, d)
    found = np.zeros(max(len(a), len(c)), bool)
    for i in range(a.shape[1]):
        edge = n[:, None, i, :]
        s1, s2 = _dot(edge, c), _dot(edge, d)
        s3, s4 = _dot(m, a[:, None, i, :]), _dot(m, b[:, None, i, :])
        # A common end is no crossing, however it is rounded.
        apart = np.minimum(np.minimum(np.abs(s1), np.abs(s2)), np.minimum(np.abs(s3), np.abs(s4)))
        # Opposite signs across either arc, and on one side of the sky, not at its antipode.
        meet = (s1 * s2 < 0) & (s3 * s4 < 0) & (s1 * s3 < 0) & (apart > EDGE)
        found |= meet.any(axis=1)
    return found


def _slack(discs: Discs) -> Floats:
    return np.asarray(EDGE + discs.radius * 1e-15)


def _centre(vertices: Floats) -> Floats:
    return _unit(vertices.sum(axis=1))


def _unit(vector: Floats) -> Floats:
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.asarray(vector / np.where(norm > 0, norm, 1.0))


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.einsum("...i,...i->...", a, b))
