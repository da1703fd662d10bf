"""What is ADQL and what is not: IVOA's own queries, and errors that say where and what."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tests.support.trial import trial

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.adql.dialect import parse


def ivoa_queries() -> list[tuple[str, str, bool]]:
    found = []
    for path in sorted(trial("models/lyonetia/src/adql/ivoa").glob("*.xml")):
        for i, query in enumerate(etree.parse(path).getroot().iter("query")):
            adql = query.find("adql")
            assert adql is not None
            found.append((f"{path.stem}-{i}", adql.text or "", adql.get("valid") == "true"))
    return found


def is_adql(text: str) -> bool:
    try:
        parse(text)
    except AdqlError:
        return False
    return True


@pytest.mark.req("TAP-2")
def test_every_query_of_ivoa_is_taken_or_refused_as_ivoa_says() -> None:
    queries = ivoa_queries()
    # Queries with ESO's own functions are valid only where ESO's functions are.
    standard = [query for query in queries if "eso_" not in query[1].lower()]
    assert len(standard) > 180
    wrong = [name for name, text, valid in standard if is_adql(text) != valid]
    assert wrong == []


NOT_ADQL = [
    "SELECT * FROM t LIMIT 5",
    "SELECT * FROM t; DROP TABLE t",
    "SELECT a::int FROM t",
    "SELECT * EXCLUDE (a) FROM t",
    "FROM t",
    "SELECT 1",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM t, LATERAL (SELECT 1 FROM u) AS q",
    "WITH RECURSIVE a AS (SELECT b FROM c) SELECT * FROM a",
    "SELECT a[1] FROM t",
    "SELECT {'a': 1} FROM t",
    "SELECT a -> 'b' FROM t",
    "SELECT sum(a) OVER (PARTITION BY b) FROM t",
    "SELECT count(*) FILTER (WHERE a > 1) FROM t",
    "SELECT * FROM t TABLESAMPLE 10 PERCENT",
    "SELECT * FROM t PIVOT (sum(a) FOR b IN (1))",
    "SELECT DISTINCT ON (a) b FROM t",
    "SELECT * FROM t ORDER BY a NULLS FIRST",
    "SELECT a FROM t WHERE b = ANY (SELECT 1 FROM u)",
    "SELECT CASE WHEN a THEN 1 END FROM t",
    "SELECT a % 2 FROM t",
    "SELECT a FROM t WHERE a",
    "SELECT a = 1 FROM t",
    "SELECT a FROM t WHERE a = ?",
    "SELECT a FROM t WHERE a = $1",
    "SELECT a FROM t WHERE a = @b",
    "SELECT /* hint */ a FROM t",
    "SELECT `a` FROM t",
    "SELECT a FROM t WHERE a LIKE 'x' ESCAPE '!'",
    "SELECT a FROM t GROUP BY ROLLUP (a)",
    "SELECT x'00' FROM t",
    "SELECT E'a' FROM t",
    "INSERT INTO t VALUES (1)",
    "COPY t TO 'x'",
    "ATTACH 'x'",
    "PRAGMA database_list",
    "SELECT a FROM t UNION BY NAME SELECT a FROM u",
    "SELECT a FROM t AS b ASOF JOIN u ON a = b",
    "SELECT a FROM t AS b SEMI JOIN u ON a = b",
    "SELECT a FROM t LEFT SEMI JOIN u ON a = b",
    "SELECT a FROM t WINDOW w AS ()",
    "SELECT a FROM t QUALIFY b > 1",
    "SELECT INTERVAL '1' DAY FROM t",
    "VALUES (1)",
    "",
    "  -- nothing",
]


@pytest.mark.req("TAP-2")
@pytest.mark.parametrize("text", NOT_ADQL)
def test_what_other_languages_have_is_refused(text: str) -> None:
    with pytest.raises(AdqlError):
        parse(text)


@pytest.mark.req("TAP-2")
def test_an_error_shows_the_line_the_column_and_a_caret(catalogue: Catalogue) -> None:
    with pytest.raises(AdqlError) as caught:
        compile_query("SELECT objectId,\n  raa\nFROM sky.Object", catalogue)
    assert caught.value.message == (
        "line 2, column 3: There is no column raa in sky.Object. Did you mean ra?\n    raa\n    ^^^"
    )


@pytest.mark.req("TAP-2")
@pytest.mark.parametrize(
    ("adql", "says"),
    [
        ("SELECT * FROM sky.Objct", "Did you mean sky.Object"),
        ("SELECT o.dex FROM sky.Object AS o", "no column dex in o. Did you mean dec"),
        ("SELECT x.ra FROM sky.Object AS o", "Nothing in FROM is called x"),
        ("SELECT logg(ra) FROM sky.Object", "There is no function logg. Did you mean LOG"),
        ("SELECT size FROM sky.Object", 'reserved word of ADQL. As a name, write it in double'),
        ("SELECT ra FROM sky.Object, sky.Source", "ra is not clear. Write Object.ra or Source.ra"),
        ("SELECT ra FROM sky.Object WHERE n >", "ends too early after '>'"),
        ("SELECT n, count(*) FROM sky.Object", "n is neither in GROUP BY nor inside"),
        ("SELECT ra FROM sky.Object WHERE count(*) > 1", "COUNT stands in SELECT, HAVING or"),
        ("SELECT ra FROM sky.Object WHERE CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))", "Write 1 ="),
        ("SELECT ra FROM sky.Object ORDER BY 3", "SELECT gives 1 columns"),
        ("SELECT ra FROM sky.Object UNION SELECT ra, dec FROM sky.Object", "1 and 2 columns"),
        ("SELECT \"RA\" FROM sky.Object", "There is no column RA"),
        ("SELECT ra + kind FROM sky.Object", "+ needs numbers"),
        ("SELECT ra FROM sky.Object JOIN sky.Source USING (n)", "n of USING is not on both sides"),
        ("SELECT ra FROM (SELECT ra FROM sky.Object)", "A subquery in FROM needs a name"),
        ("SELECT DISTANCE(POINT(1, 100), POINT(2, 3)) FROM sky.Object", "beyond the pole"),
        ("SELECT ra FROM sky.Object WHERE n = 'x", "never closed"),
    ],
)  # fmt: skip
def test_an_error_says_what_would_be_right(catalogue: Catalogue, adql: str, says: str) -> None:
    with pytest.raises(AdqlError) as caught:
        compile_query(adql, catalogue)
    assert says in caught.value.message
    assert caught.value.status == 400


@pytest.mark.req("TAP-2")
@pytest.mark.parametrize(
    "adql",
    [
        "select OBJECTID from SKY.oBjEcT",
        'select "objectId" from sky."Object"',
        "select ra from Object",
        'select "size" from sky.Object',
        "select ra -- a comment\nfrom sky.Object -- the end",
    ],
)
def test_regular_names_ignore_case_and_delimited_ones_do_not(
    catalogue: Catalogue, adql: str
) -> None:
    assert len(compile_query(adql, catalogue).columns) == 1


@pytest.mark.req("TAP-8")
@given(text=st.text(max_size=60) | st.text("SELECT FROM()'\"*.,;-\n%aO1", max_size=60))
def test_no_text_makes_it_fail_otherwise_than_in_words(text: str) -> None:
    with contextlib.suppress(AdqlError):
        parse(text)


@pytest.mark.req("TAP-8")
def test_deep_nesting_is_refused_in_words(catalogue: Catalogue) -> None:
    adql = f"SELECT {'(' * 5000}ra{')' * 5000} FROM sky.Object"
    with pytest.raises(AdqlError, match="nested too deeply"):
        compile_query(adql, catalogue)


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    "value",
    [
        "9" * 5000,
        "1e999",
        "0x" + "f" * 17,
        f"TOP {10**30} ra",
        f"TOP {'9' * 5000} ra",
        f"CAST(kind AS VARCHAR({10**12}))",
    ],
)
def test_a_number_beyond_what_a_database_holds_is_refused_in_words(
    catalogue: Catalogue, value: str
) -> None:
    with pytest.raises(AdqlError, match=r"too large|at most|below"):
        compile_query(f"SELECT {value} FROM sky.Object", catalogue)


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize(
    "value", ["1e308 * 1e308", " * ".join(["9223372036854775807"] * 40) + "/2e0"]
)
def test_constants_that_overflow_are_left_to_the_engine(catalogue: Catalogue, value: str) -> None:
    assert compile_query(f"SELECT ra FROM sky.Object WHERE ra < {value}", catalogue).scans


@pytest.mark.req("TAP-13")
@pytest.mark.parametrize(
    "unit",
    ["10**99999999999 deg", "((10**999)**999)**999 deg", "deg**(1/0)", "10**999 deg", "m" * 99],
)
def test_a_unit_is_not_a_sum_to_work_out(catalogue: Catalogue, unit: str) -> None:
    with pytest.raises(AdqlError, match=r"unit|cannot be given"):
        compile_query(f"SELECT IN_UNIT(ra, '{unit}') FROM sky.Object", catalogue)


@pytest.mark.req("TAP-13")
@pytest.mark.parametrize(
    "adql",
    [
        # Each of these doubles with every step.
        f"SELECT {'SQRT(' * 40}ra{')' * 40} FROM sky.Object",
        f"SELECT {'CONTAINS(POINT(1, ' * 16}dec{'), CIRCLE(1, 1, 1))' * 16} FROM sky.Object",
        f"SELECT * FROM {'(SELECT *, * FROM ' * 20}sky.Object{') AS q' * 20}",
        "SELECT * FROM sky.Object AS a"
        + "".join(
            f" NATURAL JOIN (SELECT * FROM sky.Object AS b, sky.Object AS c) AS d{i}"
            for i in range(12)
        ),
        "WITH a0 AS (SELECT ra FROM sky.Object)"
        + "".join(
            f", a{i + 1} AS (SELECT ra FROM a{i} UNION ALL SELECT ra FROM a{i})" for i in range(40)
        )
        + " SELECT COUNT(*) FROM a40",
        f"SELECT COUNT(*) FROM {', '.join(f'sky.Object AS a{i}' for i in range(200))}",
    ],
    ids=["scalars", "shapes", "stars", "joins", "names", "tables"],
)
def test_a_short_query_cannot_become_an_endless_one(catalogue: Catalogue, adql: str) -> None:
    with pytest.raises(AdqlError, match=r"too long|at most|more than"):
        compile_query(adql, catalogue)
