"""Operators, casts, conditions and groups: values by the standard, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.engine import QueryRefusedError

from .tables import Ask, one

VALUES = [
    ("2147483647 + 1", 2147483648),
    ("-2147483647 - 2", -2147483649),
    ("small * 0 + 32767 * 2", 65534),
    ("7 & 12 | 1", 5),
    ("~5 & 0xF", 10),
    ("6 ^ 3", 5),
    ("0x7fffffff", 2147483647),
    ("'a' 'b'", "ab"),
    ("'it''s' || ' ' || 'me'", "it's me"),
    ("COALESCE(NULL, NULL, 1, 2.5)", 1.0),
    ("COALESCE(NULL, 'x')", "x"),
    ("CAST(2.5 AS REAL)", 2.5),
    ("CAST(2.5 AS INTEGER)", 3),
    ("CAST(-2.5 AS SMALLINT)", -3),
    ("CAST('9007199254740993' AS BIGINT)", 9007199254740993),
    ("CAST(3 AS CHAR(5)) || 'x'", "3x"),
    ("CAST('abcdef' AS VARCHAR(3))", "abc"),
    ("CAST(TRUE AS INTEGER)", 1),
    ("CAST(CAST('2020-01-01T01:02:03.5Z' AS TIMESTAMP) AS VARCHAR)", "2020-01-01T01:02:03.5"),
    ("CAST(NULL AS VARCHAR)", None),
    ("CAST('12.3 45.6' AS POINT)", [12.3, 45.6]),
    ("CAST('12.3 45.6 1.0' AS CIRCLE)", [12.3, 45.6, 1.0]),
    ("CAST('1.0 0.1 2.0 0.2 3.0 0.3' AS POLYGON)", [1.0, 0.1, 2.0, 0.2, 3.0, 0.3]),
    ("ROUND(1234.5, -2)", 1200.0),
    ("TRUNCATE(-1234.5, -2)", -1200.0),
    ("MOD(-7, 3)", -1),
    ("COT(PI() / 4)", 1.0),
    ("POWER(2, -1)", 0.5),
    ("LOWER('ÀÉ')", "àé"),
    ("IN_UNIT(IN_UNIT(DISTANCE(0, 0, 0, 1), 'arcmin'), 'arcsec')", 3600.0),
]


@pytest.mark.req("ADQL-2")
@pytest.mark.parametrize(("expression", "value"), VALUES)
def test_an_expression_has_the_value_of_the_standard(
    ask: Ask, expression: str, value: object
) -> None:
    found = ask(f"SELECT TOP 1 {expression} AS v FROM sky.Object").column("v")[0].as_py()
    if isinstance(value, float):
        assert found == pytest.approx(value, rel=1e-12)
    else:
        assert found == value


@pytest.mark.req("ADQL-2")
@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("1 = 1", 5), ("TRUE", 5), ("NOT FALSE", 5), ("(band = 'g') IS TRUE OR visit = 1", None),
        ("band IS NOT NULL", 5), ("visit <> 1", 4), ("visit != 1", 4),
        ("visit BETWEEN 1 AND 3 AND NOT visit IN (2)", 2), ("band ILIKE 'G'", 2),
        ("band NOT LIKE 'g' AND (visit > 1 OR FALSE)", 2), ("ivo_hasword(band, 'R')", 2),
        ("NOT ivo_hashlist_has('g#r', band)", 1),
        ("CONTAINS(POINT(visit, 0), CIRCLE(0, 0, 1)) <> 0", 2),
        ("CONTAINS(POINT(visit, 0), CIRCLE(0, 0, 1)) = TRUE", 2),
        ("(CONTAINS(POINT(visit, 0), CIRCLE(0, 0, 1))) = 0", 3),
        ("EXISTS (SELECT 1 FROM sky.Source AS s WHERE s.sourceId = v.visit)", 5),
        ("NOT EXISTS (SELECT 1 FROM sky.Visit AS w WHERE w.visit = v.visit + 1)", 1),
        ("visit IN (SELECT w.visit + 1 FROM sky.Visit AS w WHERE w.band = v.band)", 0),
        ("(visit, band) IN (1, 'r')", None),
    ],
)  # fmt: skip
def test_a_condition_holds_for_the_rows_of_the_standard(
    ask: Ask, condition: str, count: int | None
) -> None:
    adql = f"SELECT COUNT(*) AS n FROM sky.Visit AS v WHERE {condition}"
    if count is None:
        with pytest.raises(AdqlError):
            ask(adql)
    else:
        assert ask(adql)["n"].to_pylist() == [count]


@pytest.mark.req("ADQL-2")
@pytest.mark.parametrize(
    "expression",
    [
        "9223372036854775807 + n",
        "CAST(3e10 AS INTEGER)",
        "CAST('x' AS INTEGER)",
        "CAST(kind AS POINT)",
    ],
)
def test_a_value_that_does_not_fit_is_told(ask: Ask, expression: str) -> None:
    with pytest.raises(QueryRefusedError):
        ask(f"SELECT {expression} AS v FROM sky.Object WHERE n > 0")


@pytest.mark.req("ADQL-2")
def test_booleans_are_one_and_zero(ask: Ask) -> None:
    counts = {
        ask(f"SELECT COUNT(*) AS n FROM sky.Object WHERE {condition}")["n"][0].as_py()
        for condition in ("good = 1", "good = TRUE", "good = true", "good IS TRUE", "NOT good = 0")
    }
    assert counts == {14117}


@pytest.mark.req("ADQL-2")
def test_times_are_compared_with_text_and_literals(ask: Ask) -> None:
    counts = {
        ask(f"SELECT COUNT(*) AS n FROM sky.Object WHERE {condition}")["n"][0].as_py()
        for condition in (
            "seen < '2020-09-13T12:27:00'", "seen < TIMESTAMP '2020-09-13T12:27:00'",
            "seen < TIMESTAMP('2020-09-13T12:27:00Z')", "NOT seen >= '2020-09-13 12:27:00'",
            "seen BETWEEN '2020-09-13' AND CAST('2020-09-13T12:26:59.999' AS TIMESTAMP)",
            "ivo_to_mjd(seen) < 59105.51875",
        )
    }  # fmt: skip
    assert counts == {14}


@pytest.mark.req("ADQL-2")
def test_columns_of_a_grouped_key_need_not_be_grouped(ask: Ask, catalogue: Catalogue) -> None:
    table = ask(
        "SELECT v.visit, v.band, COUNT(s.sourceId) AS n FROM sky.Visit AS v JOIN sky.Source AS s "
        "ON s.sourceId = v.visit GROUP BY v.visit ORDER BY v.visit"
    )
    assert table["band"].to_pylist() == ["g", "r", "i", "g", "r"]
    with pytest.raises(AdqlError, match="mjd is neither in GROUP BY"):
        compile_query(
            "SELECT v.visit, s.mjd FROM sky.Visit AS v JOIN sky.Source AS s "
            "ON s.sourceId = v.visit GROUP BY v.visit",
            catalogue,
        )


@pytest.mark.req("ADQL-2")
def test_with_names_columns(ask: Ask, catalogue: Catalogue) -> None:
    adql = "WITH w (a, b) AS (SELECT visit, band FROM sky.Visit) SELECT b FROM w WHERE a = 2"
    assert ask(adql)["b"].to_pylist() == ["i"]
    with pytest.raises(AdqlError, match="names 1 columns, but the query gives 2"):
        compile_query(adql.replace("(a, b)", "(a)"), catalogue)


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "expression",
    [
        "ivo_histogram(n, 0, 1, 1000000000)", "ivo_histogram(n, 1, 0, 3)",
        "ivo_histogram(n, 0, 1, 2.5)", "ivo_histogram(n, 0, n, 3)", "ivo_string_agg(kind, kind)",
        "ivo_healpix_index(30, ra, dec)", "ivo_healpix_index(-1, ra, dec)",
        "ivo_healpix_index(2.5, ra, dec)", "ivo_healpix_center(3, 2.5)",
        "gaia_healpix_index(13, n)", "gaia_healpix_index(3, ra)", "ivo_to_mjd(ra)",
        "ivo_hasword(n, 'a')", "ivo_epoch_prop_pos(1, 2, 3, 4, 5, 6, 7)",
        "ivo_geom_transform(kind, 'ICRS', POINT(1, 2))",
        "ivo_geom_transform('ICRS', 'MARS', POINT(1, 2))", "LOG(kind)", "UPPER(n)", "kind + 1",
        "1.5 & 2", "-kind", "POINT(1, 2) || 'x'", "SUM(good)", "IN_UNIT(ra, 'm**9999999')",
        "IN_UNIT(ra, 'kg')", "IN_UNIT(ra, kind)", "POWER(kind, 2)",
    ],
)  # fmt: skip
def test_arguments_of_the_wrong_kind_are_refused_in_words(
    catalogue: Catalogue, expression: str
) -> None:
    with pytest.raises(AdqlError):
        compile_query(f"SELECT {expression} FROM sky.Object", catalogue)


@pytest.mark.req("ADQL-8")
@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_no_text_of_a_query_gets_out_of_its_quotes(ask: Ask, text: str) -> None:
    quoted = text.replace("'", "''")
    assert one(ask, f"'{quoted}'") == text
    assert one(ask, f"ivo_nocasematch('{quoted}', 'x') + 0") in {0, 1}
    name = text.replace('"', '""')
    if text:
        table = ask(f'SELECT TOP 1 visit AS "{name}" FROM sky.Visit ORDER BY "{name}"')
        assert table.column_names == [text]
