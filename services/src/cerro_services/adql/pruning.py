"""Conditions that limit what is read: regions of the sky and values of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cerro_services.adql.columns import STRINGS
from cerro_services.adql.shapes import Circle, Polygon
from cerro_services.adql.values import Disc, Point, Value
from cerro_services.adql.zones import near

if TYPE_CHECKING:
    from cerro_services.adql.query import Scan
    from cerro_services.adql.scope import Source

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}


def narrow(
    left: Value, sources: Sequence[Source], operator: str = "=", right: Value | None = None
) -> str:
    """Let a condition that every row of the answer fulfils limit what its scans read.

    Parameters
    ----------
    left
        The left side of a comparison, or a geometric predicate that must be 1.
    sources
        Sources whose rows have no part in the answer unless the condition holds.
    operator
        The comparison.
    right
        Its right side; None for a predicate.

    Returns
    -------
    str
        SQL to append: a weaker condition that spares an engine of comparing every pair of rows
        in a join; often nothing.
    """
    mine = {id(source.scan) for source in sources if source.scan is not None}
    names = {source.alias for source in sources}
    if right is None:
        return _predicate(left, mine, names)
    for a, b, op in ((left, right, operator), (right, left, _MIRRORED[operator])):
        if a.separation is not None and b.constant is not None and op in {"<", "<="}:
            return _cone(a.separation, b.constant, mine, names)
        if a.origin is not None and id(a.origin[0]) in mine and op == "=":
            key = _key(b)
            if key is not None:
                a.origin[0].equals.append((a.origin[1], (key,)))
                return ""
            if b.origin is not None and b.origin[0] is not a.origin[0]:
                a.origin[0].joined.append((a.origin[1], *b.origin))
    return ""


def narrow_to(subject: Value, members: Sequence[Value], sources: Sequence[Source]) -> None:
    """Let a list of values after IN limit what a scan reads.

    Parameters
    ----------
    subject
        What stands before IN.
    members
        The values.
    sources
        Sources whose rows have no part in the answer unless the condition holds.
    """
    if subject.origin is None or not any(s.scan is subject.origin[0] for s in sources):
        return
    keys = tuple(key for key in map(_key, members) if key is not None)
    if len(keys) == len(members):
        subject.origin[0].equals.append((subject.origin[1], keys))


def _predicate(flag: Value, mine: set[int], names: set[str]) -> str:
    if flag.held is None:
        return ""
    point, shape = flag.held
    match shape:
        case Circle() | Polygon():
            _restrict(point, shape, mine)
        case Disc() if shape.radius.constant is not None:
            return _cone((point, shape.centre), shape.radius.constant, mine, names)
    return ""


def _cone(pair: tuple[Point, Point], radius: float, mine: set[int], names: set[str]) -> str:
    for point, centre in (pair, pair[::-1]):
        if centre.lon.constant is not None and centre.lat.constant is not None:
            _restrict(point, Circle(centre.lon.constant, centre.lat.constant, radius), mine)
            return ""
    a, b = pair
    for own, other in (pair, pair[::-1]):
        scan, beside = main_position(own), main_position(other)
        if scan is not None and beside is not None and id(scan) in mine and scan is not beside:
            scan.near.append((beside, radius))
    return near((a.lon.sql, a.lat.sql), (b.lon.sql, b.lat.sql), radius, names)


def spread(scans: Sequence[Scan]) -> None:
    """Limit scans by the regions of those that their rows lie near to.

    Parameters
    ----------
    scans
        The scans of a query whose conditions are all known.
    """
    for scan in scans:
        if scan.regions:
            continue
        for beside, radius in scan.near:
            for region in beside.regions:
                circle = region if isinstance(region, Circle) else region.bounding
                scan.regions.append(Circle(circle.lon, circle.lat, circle.radius + radius))


def _restrict(point: Point, region: Circle | Polygon, mine: set[int]) -> None:
    scan = main_position(point)
    if scan is not None and id(scan) in mine:
        scan.regions.append(region)


def main_position(point: Point) -> Scan | None:
    """Give the scan whose rows lie at a position, if it is the table's main position."""
    if point.lon.origin is None or point.lat.origin is None:
        return None
    scan, lon = point.lon.origin
    other, lat = point.lat.origin
    model = scan.table.model
    return scan if scan is other and (lon, lat) == (model.ra, model.dec) else None


def _key(value: Value) -> int | str | None:
    if value.column.is_integer and value.constant is not None:
        return int(value.constant)
    if value.column.datatype in STRINGS and value.sql.startswith("'"):
        return value.sql[1:-1].replace("''", "'")
    return None
