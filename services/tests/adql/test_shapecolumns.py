"""Columns that hold shapes, in every form in which they can, and what cannot be one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.release.model import Column

from .tables import Answer, in_memory


@pytest.fixture(scope="module")
def shapes() -> Catalogue:
    """Give a table of shapes in every form in which a column can hold one."""
    polygons = [
        [0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0], None, [10.0, 0.0, 12.0, 0.0, 11.0, 2.0],
        [1.0, 1.0], [0.0, 80.0, 120.0, 80.0, 240.0, 80.0], [0.0, 0.0, 120.0, 0.0, 240.0, 0.0],
    ]  # fmt: skip
    texts = [
        "POLYGON ICRS 0 0 2 0 2 2 0 2", None, "polygon 10 0 12 0 11 2", "no region",
        "UNION ICRS (CIRCLE 0 90 10 CIRCLE 0 -90 1)", "POLYGON 0 0 120 0 240 0",
    ]  # fmt: skip
    points = [[1.0, 1.0], [1.0, 5.0], [11.0, 1.0], None, [7.0, 89.0], [0.0, 0.0]]
    circles = [
        [1.0, 1.0, 0.5], None, [11.0, 1.0, 5.0], [0.0, 0.0, -1.0],
        [9.0, 90.0, 1.0], [1.0, 1.0, 9.0],
    ]  # fmt: skip
    kind = pa.list_(pa.float64())
    table = pa.table(
        {
            "id": pa.array(range(6), pa.int64()),
            "s_region": pa.array(polygons, kind),
            "stc": pa.array(texts),
            "outline": pa.array(texts),
            "place": pa.array(points, kind),
            "disc": pa.array(circles, kind),
        }
    )
    columns = [
        Column("id", "long"),
        Column("s_region", "double", "*", "deg", xtype="polygon"),
        Column("stc", "string", xtype="adql:REGION"),
        Column("outline", "string", ucd="pos.outline;obs.field"),
        Column("place", "double", "2", "deg", xtype="point"),
        Column("disc", "double", "3", "deg", xtype="circle"),
    ]
    return in_memory("Shape", columns, table)


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("1 = CONTAINS(POINT(1, 1), s_region)", [0]),
        ("1 = CONTAINS(POINT(1, 1), stc)", [0]),
        ("1 = CONTAINS(POINT(1, 1), outline)", [0]),
        ("0 = CONTAINS(POINT(1, 1), s_region)", [2, 4]),
        ("1 = CONTAINS(place, s_region)", [0, 2, 4]),
        ("1 = CONTAINS(place, stc)", [0, 2, 4]),
        ("1 = CONTAINS(disc, s_region)", [0, 4]),
        ("1 = INTERSECTS(disc, s_region)", [0, 2, 4]),
        ("1 = INTERSECTS(s_region, CIRCLE(5, 1, 5.5))", [0, 2]),
        ("1 = INTERSECTS(stc, CIRCLE(5, 1, 5.5))", [0, 2]),
        ("1 = CONTAINS(s_region, CIRCLE(11, 1, 3))", [2]),
        ("1 = CONTAINS(s_region, stc)", [0, 2, 4]),
        ("1 = INTERSECTS(s_region, BOX(1, 1, 30, 4))", [0, 2]),
        ("1 = CONTAINS(s_region, BOX(1, 1, 30, 4))", [0, 2]),
        ("DISTANCE(place, POINT(1, 1)) < 1", [0]),
        ("COORD2(place) = 5", [1]),
        ("AREA(s_region) BETWEEN 3 AND 5", [0]),
        ("AREA(stc) BETWEEN 3 AND 5", [0]),
        ("DISTANCE(CENTROID(s_region), POINT(1, 1)) < 0.1", [0]),
        ("DISTANCE(CENTROID(disc), place) < 0.1", [0, 2]),
        ("1 = INTERSECTS(stc, REGION('UNION (CIRCLE 11 1 1 CIRCLE 0 -89 0.5)'))", [2, 4]),
    ],
)
def test_columns_of_shapes(
    answer: Answer, shapes: Catalogue, condition: str, found: list[int]
) -> None:
    table = answer(f"SELECT id FROM mem.Shape WHERE {condition} ORDER BY id", shapes)
    assert table["id"].to_pylist() == found


@pytest.mark.req("ADQL-3")
def test_a_column_that_is_no_shape_is_refused(shapes: Catalogue) -> None:
    with pytest.raises(AdqlError, match="A geometry is needed"):
        compile_query("SELECT 1 FROM mem.Shape WHERE 1 = CONTAINS(POINT(1, 1), id)", shapes)
    with pytest.raises(AdqlError, match="FK4 is converted for constants only"):
        compile_query("SELECT POINT('FK4', id, id) FROM mem.Shape", shapes)


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "expression",
    [
        f"AREA(POLYGON({', '.join(['id'] * 12_000)}))",
        f"POLYGON({', '.join(['1'] * 12_000)})",
        "BOX(0, 0, 180, 1)",
        "BOX(0, 0, -1, 1)",
        "CIRCLE(0, 0, -1)",
        "POLYGON(0, 0, 120, 0, 240, 0)",
        "REGION('CIRCLE 1 2 3' || 'x')",
        "CAST('1 2' AS CIRCLE)",
        "CAST('x' AS POINT)",
        "CAST(disc AS POLYGON)",
        "CAST(disc AS INTEGER)",
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_words(shapes: Catalogue, expression: str) -> None:
    with pytest.raises(AdqlError):
        compile_query(f"SELECT {expression} FROM mem.Shape", shapes)
