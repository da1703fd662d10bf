"""Random queries: the same rows whether or not regions and keys limit what is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_services.adql import Catalogue

from .tables import Answer

LON = st.sampled_from([0.0, 0.5, 90.0, 359.5, 360.0]) | st.floats(0, 360)
LAT = st.sampled_from([0.0, 89.0, -89.0, 90.0, -90.0]) | st.floats(-90, 90)
SMALL = st.floats(0.05, 8)
KINDS = ["in", "in", "in", "out", "near", "key", "keys", "n", "sub", "meets"]
FORMS = ["plain", "plain", "join", "outer", "union", "derived", "with", "near"]
KEY = st.integers(2**60 - 2, 2**60 + 400)


@st.composite
def shapes(draw: st.DrawFn) -> str:
    """Give a shape with constant coordinates."""
    lon, lat, size = draw(LON), draw(LAT), draw(SMALL)
    kind = draw(st.sampled_from(["circle", "box", "polygon", "region", "galactic"]))
    if kind == "box":
        return f"BOX({lon!r}, {lat!r}, {size!r}, {draw(SMALL)!r})"
    if kind == "polygon":
        lat = max(-80.0, min(80.0, lat))
        corners = [(lon, lat), (lon + size, lat), (lon + size, lat + size), (lon, lat + size)]
        return f"POLYGON({', '.join(f'{x % 360!r}, {y!r}' for x, y in corners)})"
    if kind == "region":
        return f"REGION('UNION (CIRCLE {lon!r} {lat!r} {size!r} CIRCLE 0 0 {size!r})')"
    if kind == "galactic":
        return f"CIRCLE('GALACTIC', {lon!r}, {lat!r}, {size!r})"
    return f"CIRCLE({lon!r}, {lat!r}, {size!r})"


@st.composite
def conditions(draw: st.DrawFn, name: str, depth: int = 2) -> str:
    """Give a condition on the rows of a source."""
    if depth and draw(st.booleans()):
        word = draw(st.sampled_from(["AND", "AND", "OR", "NOT"]))
        first = draw(conditions(name, depth - 1))
        if word == "NOT":
            return f"NOT ({first})"
        return f"({first}) {word} ({draw(conditions(name, depth - 1))})"
    point = f"POINT({name}.ra, {name}.dec)"
    kind = draw(st.sampled_from(KINDS))
    if kind == "in":
        return f"1 = CONTAINS({point}, {draw(shapes())})"
    if kind == "out":
        return f"CONTAINS({point}, {draw(shapes())}) = 0"
    if kind == "meets":
        return f"INTERSECTS({draw(shapes())}, {point}) <> 0"
    if kind == "near":
        return f"DISTANCE({point}, POINT({draw(LON)!r}, {draw(LAT)!r})) < {draw(SMALL)!r}"
    if kind == "key":
        return f"{name}.objectId = {draw(KEY)}"
    if kind == "keys":
        return f"{name}.objectId IN ({draw(KEY)}, {draw(KEY)}, {draw(KEY)})"
    if kind == "sub":
        inner = draw(conditions("s", 0)) if depth else "s.mjd < 60100"
        return f"{name}.objectId IN (SELECT s.objectId FROM sky.Source AS s WHERE {inner})"
    return f"{name}.dec < {draw(LAT)!r}"


@st.composite
def queries(draw: st.DrawFn) -> str:
    """Give a query whose rows are in one order only."""
    one = f"SELECT o.objectId AS k FROM sky.Object AS o WHERE {draw(conditions('o'))}"
    kind = draw(st.sampled_from(FORMS))
    if kind == "join":
        return (
            "SELECT o.objectId AS k, s.sourceId AS j FROM sky.Object AS o JOIN sky.Source AS s "
            f"ON o.objectId = s.objectId AND {draw(conditions('s'))} WHERE {draw(conditions('o'))} "
            "ORDER BY k, j"
        )
    if kind == "outer":
        side = draw(st.sampled_from(["LEFT", "RIGHT", "FULL"]))
        return (
            f"SELECT o.objectId AS k, s.sourceId AS j FROM ({one}) AS q JOIN sky.Object AS o ON "
            f"q.k = o.objectId {side} JOIN sky.Source AS s ON o.objectId = s.objectId AND "
            f"({draw(conditions('s', 1))}) ORDER BY k, j"
        )
    if kind == "near":
        return (
            "SELECT o.objectId AS k, s.sourceId AS j FROM sky.Source AS s JOIN sky.Object AS o ON "
            f"DISTANCE(o.ra, o.dec, s.ra, s.dec) < 0.02 WHERE {draw(conditions('s', 1))} "
            "ORDER BY k, j"
        )
    if kind == "union":
        word = draw(st.sampled_from(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]))
        other = f"SELECT p.objectId FROM sky.Object AS p WHERE {draw(conditions('p'))}"
        return f"{one} {word} {other} ORDER BY k"
    if kind == "derived":
        return f"SELECT q.k FROM ({one}) AS q WHERE q.k > {draw(KEY)} ORDER BY q.k OFFSET 1"
    if kind == "with":
        return (
            f"WITH w AS ({one}) SELECT o.objectId AS k FROM sky.Object AS o JOIN w ON "
            f"w.k = o.objectId WHERE {draw(conditions('o', 1))} ORDER BY k"
        )
    return f"{one} ORDER BY k"


@pytest.mark.req("ADQL-4")
@settings(max_examples=40, deadline=None)
@given(adql=queries())
def test_any_query_gives_the_same_rows_pruned_or_not(
    answer: Answer, catalogue: Catalogue, adql: str
) -> None:
    assert answer(adql, catalogue).equals(answer(adql, catalogue, pruned=False))
