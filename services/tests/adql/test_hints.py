"""What is said of a query that is wrong: what was meant, and where."""

from __future__ import annotations

import pytest

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.adql.dialect import parse

HINTS = [
    ("SELEC a FROM t", "Did you mean SELECT?"),
    ("SELECT a FORM t", "Did you mean FROM?"),
    ("SELECT a FROM t WERE a > 1", "Did you mean WHERE?"),
    ("SELECT a FROM t ODER BY a", "Did you mean ORDER?"),
    ("SELECT a FROM t GROPU BY a", "Did you mean GROUP?"),
    ("SELECT a FROM t GROUP a", "Write GROUP BY."),
    ("SELECT a FROM t JION u USING (a)", "Did you mean JOIN?"),
    ("SELECT a FROM t WHERE a BETWEN 1 AND 2", "Did you mean BETWEEN?"),
    ("SELECT a FROM t LIMIT 10", "Write SELECT TOP 10"),
    ("SELECT a::int FROM t", "Write CAST(x AS type)."),
    ("SELECT a FROM t WHERE a == 1", "Write = to compare."),
    ("SELECT a % 2 FROM t", "Write MOD(a, b)."),
    ("SELECT `a` FROM t", "double quotes"),
    ("SELECT a /* b */ FROM t", "after --"),
    ("SELECT a b c FROM t", "Is a comma or an operator missing?"),
    ("SELECT a, FROM t", "missing after this comma"),
    ("SELECT COUNT(a FROM t", "not closed"),
    ("SELECT COUNT(a)) FROM t", "not opened"),
    ("SELECT CASE WHEN a THEN 1 END FROM t", "ADQL has no CASE"),
    ("SELECT CONCAT(a, b) FROM t", "Write a || b"),
    ("SELECT LN(a) FROM t", "Write LOG(x)"),
    ("SELECT TOP 3 DISTINCT a FROM t", "Write SELECT DISTINCT TOP 3"),
    ("SELECT a FROM t ORDER BY a NULLS FIRST", "no NULLS FIRST"),
    ("SELECT a FROM t WHERE a > ANY (SELECT b FROM u)", "no ANY"),
    ("DELETE FROM t", "begins with SELECT or WITH"),
    ("SELECT CAST(a AS FLOAT) FROM t", "Write REAL or DOUBLE PRECISION"),
    ("SELECT a FROM t WHERE CONTAINS(a, b)", "Write 1 = CONTAINS"),
    ("SELECT 'a' FROM 't'", "double quotes"),
    ("SELECT {a} FROM t", "in braces"),
    ("SELECT size FROM t", '"size"'),
    ("SELECT TOP (10) a FROM t", "TOP 10"),
    ("SELECT a FROM t FETCH FIRST 10 ROWS ONLY", "Write SELECT TOP 10"),
    ("SELECT a FROM t OFFSET 10 ROWS", "OFFSET 10."),
    ("SELECT a INTO mydb.b FROM t", "DEST=mydb.name"),
    ("SELECT a FROM t WHERE a NOT NULL", "Write IS NOT NULL."),
    ("SELECT a FROM t WHERE a ISNULL", "Write IS NULL."),
    ("SELECT a FROM t WHERE a ~ 'b'", "no regular expressions"),
    ("SELECT a ** 2 FROM t", "Write POWER(a, b)."),
    ("SELECT a FROM t WHERE a \u2265 2", "Write >=."),
    ("SELECT \u2018a\u2019 FROM t", "straight quotes"),
    ("SELECT a FROM t WHERE isnan(a)", "Write x IS NULL"),
    ("SELECT MEDIAN(a) FROM t", "ivo_histogram"),
    ("SELECT YEAR(a) FROM t", "ivo_to_mjd"),
    ("SELECT a FROM t WHERE NOT b", "Compare it: b = 1."),
    ("SHOW TABLES", "tap_schema.tables"),
    ("EXPLAIN SELECT a FROM t", "/api/tap/estimate"),
]


@pytest.mark.req("ADQL-6")
@pytest.mark.parametrize(("text", "said"), HINTS)
def test_an_error_says_what_was_meant_and_where(text: str, said: str) -> None:
    with pytest.raises(AdqlError, match="line 1, column") as caught:
        parse(text)
    assert said in caught.value.message
    assert caught.value.message.endswith("^")


@pytest.mark.req("ADQL-1")
@pytest.mark.parametrize(
    "text",
    [
        "SELECT TOP 1 ~5 & 3 FROM t",
        "SELECT TOP 10 percent FROM t",
        "SELECT a isnull, b notnull FROM t",
        "SELECT a FROM t isnull",
        "SELECT a FROM t WHERE b IS NOT NULL",
    ],
)
def test_what_looks_like_another_language_and_is_adql_is_read(text: str) -> None:
    assert parse(text) is not None


@pytest.mark.req("ADQL-6")
@pytest.mark.parametrize(
    ("adql", "said"),
    [
        ("SELECT TOP 10 PERCENT ra FROM sky.Object", "TOP takes a number of rows"),
        ("SELECT ra AS x FROM sky.Object WHERE x > 1", "Write what it stands for: ra."),
        ("SELECT ra AS x FROM sky.Object WHERE RAJ2000 > 1", "Did you mean ra?"),
        ('SELECT ra FROM "sky.Object"', 'each part of a name: "sky"."Object".'),
        ('SELECT ra FROM sky.Object WHERE kind = "star"', "A text stands in single quotes: 'star'"),
        ("SELECT ra FROM sky.Object WHERE kind > 5", "not compared with a number"),
        ("SELECT POINT('MARS', 1, 2) FROM sky.Object", "Write 'ICRS', 'FK5'"),
        ("SELECT LOGG(ra) FROM sky.Object", "Did you mean LOG"),
        ("SELECT POINT(kind, dec) FROM sky.Object", "kind is a text; a position is two numbers"),
        ("SELECT DISTANCE(ra, dec, kind, 1) FROM sky.Object", "in decimal degrees"),
        ("SELECT STDDEV(ra) FROM sky.Object", "Write SQRT(AVG(x * x) - AVG(x) * AVG(x))"),
        ("SELECT zzzzzz FROM sky.Object", "tap_schema.columns lists what is in sky.Object"),
        ("SELECT TOP ten ra FROM sky.Object", "TOP needs a whole number, not 'ten'."),
        ("SELECT ra FROM sky.Object WHERE 1 = CONTAINS(POINT(1, 2), kind)", "REGION"),
    ],
)
def test_an_error_of_meaning_says_what_would_be_right(
    catalogue: Catalogue, adql: str, said: str
) -> None:
    with pytest.raises(AdqlError) as caught:
        compile_query(adql, catalogue)
    assert said in caught.value.message
