"""What queries mean, where SQL engines differ: answers on real Parquet."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cerro_services.adql import AdqlError, Catalogue, compile_query

Ask = Callable[[str], pa.Table]


def one(ask: Ask, expression: str) -> object:
    return ask(f"SELECT TOP 1 {expression} AS v FROM sky.Visit").column("v")[0].as_py()


@pytest.mark.req("TAP-1")
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("LOG(10)", math.log(10)),
        ("LOG10(1000)", 3.0),
        ("LOG(-1)", None),
        ("SQRT(-1)", None),
        ("ACOS(2)", None),
        ("DISTANCE(POINT(SQRT(-1), 0), POINT(0, 0))", None),
        ("DISTANCE(POINT(0, 90), POINT(0, -90))", 180.0),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / 2.0", 3.5),
        ("1 / 0", None),
        ("MOD(7, 4)", 3),
        ("MOD(7.5, 4)", 3.5),
        ("TRUNCATE(2.789)", 2.0),
        ("TRUNCATE(-2.789, 2)", -2.78),
        ("ROUND(2.345, 1)", 2.3),
        ("CEILING(1.2)", 2.0),
        ("FLOOR(-1.2)", -2.0),
        ("POWER(2, 10)", 1024.0),
        ("DEGREES(PI())", 180.0),
        ("ATAN2(1, 1)", math.pi / 4),
        ("0xFF", 255),
        ("6 & 3", 2),
        ("6 | 3", 7),
        ("6 ^ 3", 5),
        ("~0", -1),
        ("1.5e3", 1500.0),
        ("9223372036854775807", 2**63 - 1),
        ("LOWER('ÄB')", "äb"),
        ("UPPER('ab') || 'c''d'", "ABc'd"),
        ("COALESCE(NULL, 3)", 3),
        ("CAST(2.6 AS INTEGER)", 3),
        ("CAST('12' AS BIGINT)", 12),
        ("CAST(12 AS VARCHAR(1))", "1"),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("-(-3)", 3),
        ("DISTANCE(0, 0, 0, 90)", 90.0),
        ("DISTANCE(POINT(359.5, 0), POINT('ICRS', 0.5, 0))", 1.0),
        ("CONTAINS(POINT(0, 90), CIRCLE(123, 90, 1))", 1),
        ("CONTAINS(POINT(0, 88), CIRCLE(123, 90, 1))", 0),
        ("CONTAINS(POINT(SQRT(-1), 88), CIRCLE(123, 90, 1))", None),
        ("CONTAINS(CIRCLE(0, 0, 1), CIRCLE(0, 0.5, 2))", 1),
        ("INTERSECTS(CIRCLE(0, 0, 1), CIRCLE(0, 1.5, 1))", 1),
        ("INTERSECTS(CIRCLE(0, 0, 1), POINT(0, 1.5))", 0),
        ("CONTAINS(POINT(0, 0), BOX(359.9, 0, 1, 1))", 1),
        ("COORD2(CENTROID(CIRCLE('ICRS', 10, 20, 1)))", 20.0),
        ("AREA(CIRCLE(0, 0, 180))", 4 * math.pi * (180 / math.pi) ** 2),
        ("AREA(POLYGON(0, 0, 90, 0, 0, 90))", math.pi / 2 * (180 / math.pi) ** 2),
        ("scisql_nanojanskyToAbMag(3.630780547701014e12)", 0.0),
        ("scisql_nanojanskyToAbMag(-1)", None),
        ("scisql_nanojanskyToAbMagSigma(100.0, 1.0)", 0.010857362047581296),
        ("IN_UNIT(1, 'deg')", AdqlError),
    ],
)
def test_an_expression_has_its_value_of_adql(ask: Ask, expression: str, value: object) -> None:
    if value is AdqlError:
        with pytest.raises(AdqlError):
            one(ask, expression)
    elif isinstance(value, float):
        assert one(ask, expression) == pytest.approx(value, rel=1e-12, abs=1e-9)
    else:
        assert one(ask, expression) == value


@pytest.mark.req("TAP-1")
def test_nulls_sort_as_greatest_both_ways(ask: Ask) -> None:
    up = ask("SELECT DISTINCT n FROM sky.Object ORDER BY n").column("n").to_pylist()
    down = ask("SELECT DISTINCT n FROM sky.Object ORDER BY n DESC").column("n").to_pylist()
    assert up == [*range(10), None]
    assert down == up[::-1]


@pytest.mark.req("TAP-1")
def test_sums_of_integers_are_64_bit_integers(ask: Ask, rows: dict[str, pa.Table]) -> None:
    table = ask("SELECT SUM(n) AS s, AVG(n) AS a, COUNT(n) AS c FROM sky.Object")
    n = rows["Object"]["n"]
    assert table.schema.field("s").type == pa.int64()
    assert table.to_pylist() == [
        {"s": pc.sum(n).as_py(), "a": pytest.approx(pc.mean(n).as_py()), "c": pc.count(n).as_py()}
    ]


@pytest.mark.req("TAP-1")
@pytest.mark.parametrize(
    ("adql", "expected"),
    [
        ("SELECT COUNT(*) AS n FROM sky.Object JOIN sky.Source USING (objectId)", 2000),
        ("SELECT COUNT(*) AS n FROM sky.Source LEFT JOIN sky.Visit ON visit = sourceId", 2000),
        ("SELECT COUNT(*) AS n FROM sky.Visit RIGHT JOIN sky.Source ON visit = sourceId", 2000),
        ("SELECT COUNT(*) AS n FROM sky.Visit a FULL JOIN sky.Visit b ON a.visit = b.visit + 2", 7),
        ("SELECT COUNT(*) AS n FROM sky.Visit a NATURAL JOIN sky.Visit b", 5),
        ("SELECT COUNT(*) AS n FROM sky.Visit a, sky.Visit b", 25),
        ("SELECT COUNT(*) AS n FROM sky.Visit a, sky.Visit b JOIN sky.Visit c USING (visit)", 25),
        ("SELECT COUNT(*) AS n FROM (sky.Visit a CROSS JOIN sky.Visit b)", 25),
        ("SELECT COUNT(DISTINCT band) AS n FROM sky.Visit", 3),
        ("SELECT COUNT(*) AS n FROM (SELECT TOP 3 * FROM sky.Visit ORDER BY 1) AS q", 3),
        ("SELECT COUNT(*) AS n FROM sky.Visit WHERE visit IN (SELECT sourceId FROM sky.Source)", 5),
        ("SELECT COUNT(*) AS n FROM sky.Visit v WHERE EXISTS "
         "(SELECT 1 FROM sky.Source s WHERE s.sourceId = v.visit + 1998)", 2),
        ("SELECT COUNT(*) AS n FROM sky.Visit WHERE NOT (band = 'g' OR visit BETWEEN 1 AND 2)", 1),
        ("SELECT COUNT(*) AS n FROM sky.Visit WHERE band LIKE '_' AND band NOT ILIKE 'G'", 3),
        ("SELECT MAX(visit) AS n FROM sky.Visit GROUP BY band HAVING COUNT(*) = 1", 2),
        ("WITH g AS (SELECT * FROM sky.Visit WHERE band = 'g') SELECT COUNT(*) AS n FROM g a, g b",
         4),
        ("SELECT COUNT(*) AS n FROM (SELECT band FROM sky.Visit EXCEPT "
         "SELECT band FROM sky.Visit WHERE band = 'g') AS q", 2),
        ("SELECT COUNT(*) AS n FROM (SELECT band FROM sky.Visit UNION ALL "
         "SELECT band FROM sky.Visit) AS q", 10),
        ("SELECT visit AS n FROM sky.Visit WHERE band = 'g' INTERSECT "
         "SELECT visit FROM sky.Visit WHERE visit > 1", 3),
        ("SELECT visit AS n FROM sky.Visit ORDER BY visit DESC OFFSET 4", 0),
        ("SELECT visit + 1 AS n FROM sky.Visit GROUP BY visit + 1 HAVING visit + 1 > 4", 5),
        ("SELECT COUNT(*) AS n FROM sky.Object WHERE good = TRUE AND good IS NOT NULL", 14117),
        ("SELECT COUNT(*) AS n FROM sky.Object WHERE seen < '2020-09-13T12:27:00'", 14),
    ],
)  # fmt: skip
def test_a_query_has_its_answer(ask: Ask, adql: str, expected: int) -> None:
    assert ask(adql).to_pydict() == {"n": [expected]}


@pytest.mark.req("TAP-1")
def test_using_merges_columns_and_star_lists_them_once(ask: Ask) -> None:
    table = ask("SELECT TOP 1 * FROM sky.Visit a JOIN sky.Visit b USING (visit)")
    assert table.column_names == ["visit", "band", "band"]


@pytest.mark.req("TAP-1")
def test_top_with_order_gives_the_first_rows_of_all(ask: Ask, rows: dict[str, pa.Table]) -> None:
    found = ask("SELECT TOP 5 objectId FROM sky.Object ORDER BY dec DESC").column(0).to_pylist()
    order = np.argsort(-rows["Object"]["dec"].to_numpy())[:5]
    assert found == rows["Object"]["objectId"].to_numpy()[order].tolist()


@pytest.mark.req("TAP-1")
def test_a_lookup_by_key_finds_its_row(ask: Ask, rows: dict[str, pa.Table]) -> None:
    table = ask(f"SELECT objectId, ra FROM sky.Object WHERE objectId IN ({2**60 + 5}, {2**60 + 9})")
    expected = rows["Object"].select(["objectId", "ra"]).take([5, 9]).sort_by("objectId")
    assert table.sort_by("objectId").to_pydict() == expected.to_pydict()


@pytest.mark.req("TAP-4")
def test_columns_keep_what_the_model_says_of_them(catalogue: Catalogue) -> None:
    query = compile_query(
        'SELECT flux, flux AS f, flux * 2, "size" + "size", MAX(flux), IN_UNIT(ra, \'rad\') AS r '
        'FROM sky.Object GROUP BY flux, "size", ra',
        catalogue,
    )
    told = [(c.name, c.datatype, c.unit, c.ucd, c.description) for c in query.columns]
    flux = ("float", "nJy", "phot.flux", "Flux < 1e5 & more")
    assert told[0] == ("flux", *flux)
    assert told[1] == ("f", *flux)
    assert told[2][2] == "nJy"
    assert told[3][2] == "arcsec"
    assert told[4] == ("max", *flux)
    assert told[5] == ("r", "double", "rad", "pos.eq.ra;meta.main", None)
