"""Every production of ADQL 2.1's grammar, and what is said of what it has not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
from lxml import etree
from sqlglot import exp

from cerro_services.adql import AdqlError, Catalogue, QueryTable, compile_query
from cerro_services.adql.dialect import parse
from cerro_services.release.model import Column, TableModel
from cerro_services.release.schema import read, validate
from cerro_services.tap.tapschema import view

DATA = Path(os.environ.get("CERRO_TRIAL_DATA", Path(__file__).parents[4] / "shared/data"))
IVOA = DATA / "models/lyonetia/src/adql/ivoa"
FELIS = DATA / "models/sdm_schemas/python/lsst/sdm/schemas"
TUTORIALS = DATA / "tutorials/rubin_tutorial_adql_queries.json"

VALID = [
    # set_quantifier, set_limit, select_list
    "SELECT ALL a FROM t",
    "SELECT DISTINCT a FROM t",
    "SELECT DISTINCT TOP 3 a, b FROM t",
    "SELECT TOP 0 * FROM t",
    "SELECT t.*, s.u.* FROM t, s.u",
    "SELECT a b, c AS d FROM t",
    'SELECT a AS "X y" FROM t',
    "SELECT * , a FROM t",
    # literals
    "SELECT 1, 1.5, .5, 5., 1E-3, 1.e+3, 0xFf FROM t",
    "SELECT 'it''s', '' FROM t",
    "SELECT 'a' 'b' FROM t",
    "SELECT TRUE, False, NULL FROM t",
    "SELECT +1, - -1 FROM t",
    "SELECT TIMESTAMP '2020-01-01T00:00:00' FROM t",
    "SELECT TIMESTAMP('2020-01-01') FROM t",
    # identifiers and column references
    'SELECT "a""b", "select" FROM "T"',
    "SELECT c.s.t.a, s.t.a, t.a FROM c.s.t",
    # table references and joins
    "SELECT a FROM t x, u AS y",
    "SELECT a FROM (SELECT a FROM t) AS q",
    "SELECT a FROM (SELECT a FROM t) q",
    "SELECT a FROM t JOIN u ON t.a = u.b",
    "SELECT a FROM t INNER JOIN u USING (a, b)",
    "SELECT a FROM t LEFT OUTER JOIN u USING (a)",
    "SELECT a FROM t RIGHT JOIN u USING (a)",
    "SELECT a FROM t FULL JOIN u ON (a = b)",
    "SELECT a FROM t NATURAL JOIN u",
    "SELECT a FROM t NATURAL LEFT JOIN u",
    "SELECT a FROM t CROSS JOIN u",
    "SELECT a FROM (t JOIN u ON a = b) JOIN v ON b = c",
    "SELECT a FROM t JOIN (u JOIN v ON b = c) ON a = b",
    "SELECT a FROM t, (u JOIN v USING (b))",
    # search conditions
    "SELECT a FROM t WHERE a = 1 AND (b <> 2 OR NOT c != 3)",
    "SELECT a FROM t WHERE a < 1 OR a > 2 OR a <= 3 OR a >= 4",
    "SELECT a FROM t WHERE a BETWEEN 1 AND 2 AND b NOT BETWEEN c AND d",
    "SELECT a FROM t WHERE a IN (1, 2.5) OR a NOT IN (SELECT b FROM u)",
    "SELECT a FROM t WHERE a IN (SELECT b FROM u UNION SELECT c FROM v)",
    "SELECT a FROM t WHERE a LIKE 'x%' OR a NOT ILIKE b || '_'",
    "SELECT a FROM t WHERE a IS NULL OR b IS NOT NULL",
    "SELECT a FROM t WHERE a IS TRUE OR a IS NOT FALSE OR a IS UNKNOWN OR a IS NOT UNKNOWN",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.a)",
    "SELECT a FROM t WHERE TRUE",
    "SELECT a FROM t WHERE NOT ivo_hasword(a, 'b')",
    # grouping, order, offset
    "SELECT a, COUNT(*) FROM t GROUP BY a HAVING COUNT(*) > 1",
    "SELECT a + 1 FROM t GROUP BY a + 1",
    "SELECT MAX(a) FROM t HAVING MIN(a) > 1",
    "SELECT a FROM t ORDER BY 1 DESC, a ASC, 2 * a",
    "SELECT a FROM t ORDER BY a OFFSET 3",
    "SELECT TOP 3 a FROM t OFFSET 0",
    # set functions
    "SELECT COUNT(*), COUNT(a), COUNT(ALL a), COUNT(DISTINCT a) FROM t",
    "SELECT AVG(a), MAX(DISTINCT a), MIN(ALL a), SUM(a + b) FROM t",
    # set operators and common table expressions
    "SELECT a FROM t UNION SELECT a FROM u",
    "SELECT a FROM t UNION ALL SELECT a FROM u ORDER BY a",
    "SELECT a FROM t EXCEPT ALL SELECT a FROM u INTERSECT ALL SELECT a FROM v",
    "(SELECT a FROM t) INTERSECT (SELECT a FROM u) OFFSET 2",
    "WITH w AS (SELECT a FROM t) SELECT a FROM w",
    "WITH w (x) AS (SELECT a FROM t), v AS (SELECT x FROM w) SELECT x FROM v UNION SELECT x FROM w",
    # numeric, bitwise and string expressions
    "SELECT a + b * -c / (d - 1) FROM t",
    "SELECT ~a & 0xF | b ^ c FROM t",
    "SELECT a || 'x' FROM t",
    "SELECT ABS(a), CEILING(a), DEGREES(a), EXP(a), FLOOR(a), LOG(a), LOG10(a), MOD(a, 2) FROM t",
    "SELECT PI(), POWER(a, 2), RADIANS(a), RAND(), RAND(3), ROUND(a), ROUND(a, 2), SQRT(a) FROM t",
    "SELECT TRUNCATE(a), TRUNCATE(a, +2), ACOS(a), ASIN(a), ATAN(a), ATAN2(a, b), COS(a) FROM t",
    "SELECT COT(a), SIN(a), TAN(a), LOWER(a), UPPER(a), COALESCE(a, 1), IN_UNIT(a, 'deg') FROM t",
    # casts
    "SELECT CAST(a AS SMALLINT), CAST(a AS INTEGER), CAST(a AS BIGINT), CAST(a AS REAL) FROM t",
    "SELECT CAST(a AS DOUBLE PRECISION), CAST(a AS CHAR), CAST(a AS CHAR(3)) FROM t",
    "SELECT CAST(a AS VARCHAR), CAST(a AS VARCHAR(9)), CAST(a AS TIMESTAMP) FROM t",
    "SELECT CAST(a AS POINT), CAST(a AS CIRCLE), CAST(a AS POLYGON) FROM t",
    # geometry
    "SELECT POINT(1, 2), POINT('ICRS', a, b), POINT(NULL, 1, 2), POINT('', 1, 2) FROM t",
    "SELECT CIRCLE(1, 2, 3), CIRCLE('ICRS', 1, 2, a), CIRCLE(p, 3), CIRCLE(POINT(1, 2), 3) FROM t",
    "SELECT BOX(1, 2, 3, 4), BOX('ICRS', a, b, c, d), BOX(POINT(1, 2), 3, 4) FROM t",
    "SELECT POLYGON(1, 2, 3, 4, 5, 6), POLYGON('', a, b, c, d, e, f), POLYGON(p, q, r) FROM t",
    "SELECT REGION('CIRCLE ICRS 1 2 3'), CENTROID(p), AREA(p), COORDSYS(p) FROM t",
    "SELECT COORD1(p), COORD2(POINT(1, 2)), DISTANCE(p, q), DISTANCE(1, 2, a, b) FROM t",
    "SELECT a FROM t WHERE 1 = CONTAINS(p, c) AND INTERSECTS(c, d) = 0",
    # white space and comments
    "select\ta\r\nfrom t -- the end",
    "SELECT a--b\nFROM t\n--c\nWHERE a>1",
    "SELECT(a)FROM t WHERE(a)=1",
]


@pytest.mark.req("ADQL-1")
@pytest.mark.parametrize("text", VALID)
def test_every_production_is_taken(text: str) -> None:
    assert parse(text)


INVALID = [
    "SELECT FROM t",
    "SELECT a, FROM t",
    "SELECT , a FROM t",
    "SELECT a FROM t,",
    "SELECT a FROM",
    "SELECT a FROM t WHERE",
    "SELECT a FROM t GROUP BY",
    "SELECT a FROM t GROUP BY a,",
    "SELECT a FROM t ORDER BY",
    "SELECT LOG(a,) FROM t",
    "SELECT LOG(,a) FROM t",
    "SELECT a FROM t WHERE a IN ()",
    "SELECT a FROM t WHERE a IN (1,)",
    "SELECT a FROM t WHERE a IN u",
    "SELECT a FROM t USING (a)",
    "SELECT a FROM t JOIN u",
    "SELECT a FROM t JOIN u USING ()",
    "SELECT a FROM t OUTER JOIN u ON a = b",
    "SELECT a FROM t NATURAL JOIN u ON a = b",
    "SELECT a FROM t CROSS JOIN u USING (a)",
    "SELECT a FROM (SELECT b FROM u WITH w)",
    "SELECT TOP a FROM t",
    "SELECT TOP 1.5 a FROM t",
    "SELECT TOP -1 a FROM t",
    "SELECT TOP 3 DISTINCT a FROM t",
    "SELECT a FROM t OFFSET -1",
    "SELECT a FROM t OFFSET a",
    "SELECT a FROM t OFFSET 3 ORDER BY a",
    "SELECT a FROM t HAVING a > 1 GROUP BY a",
    "SELECT a FROM t WHERE a > 1 WHERE b > 1",
    "SELECT a a a FROM t",
    "SELECT a FROM t AS",
    "SELECT 1a FROM t",
    "SELECT _a FROM t",
    "SELECT a.b.c.d.e FROM t",
    "SELECT 'a FROM t",
    'SELECT "" FROM t',
    "SELECT 0xG FROM t",
    "SELECT 1e FROM t",
    "SELECT a FROM t WHERE a => 1",
    "SELECT a FROM t WHERE a",
    "SELECT a FROM t WHERE 1",
    "SELECT a FROM t WHERE a = 1 = 1",
    "SELECT a FROM t WHERE a AND b",
    "SELECT a FROM t WHERE NOT a",
    "SELECT a > 1 FROM t",
    "SELECT a FROM t WHERE a IS 1",
    "SELECT a FROM t WHERE a IS NOT",
    "SELECT unknown FROM t",
    "SELECT a FROM t WHERE a BETWEEN 1",
    "SELECT a FROM t WHERE a LIKE",
    "SELECT COUNT() FROM t",
    "SELECT COUNT(*, a) FROM t",
    "SELECT COUNT(a, b) FROM t",
    "SELECT ABS(DISTINCT a) FROM t",
    "SELECT PI FROM t",
    "SELECT PI(1) FROM t",
    "SELECT LOG() FROM t",
    "SELECT POWER(1) FROM t",
    "SELECT COALESCE() FROM t",
    "SELECT POINT(1) FROM t",
    "SELECT CIRCLE(1, 2) FROM t",
    "SELECT BOX(1, 2, 3) FROM t",
    "SELECT POLYGON(1, 2, 3, 4) FROM t",
    "SELECT DISTANCE(1, 2, 3) FROM t",
    "SELECT POLYGON('ICRS', 1, 2, 3, 4, 5) FROM t",
    "SELECT COORD1() FROM t",
    "SELECT REGION() FROM t",
    "SELECT CAST(a AS FLOAT) FROM t",
    "SELECT CAST(a AS NULL) FROM t",
    "SELECT CAST(a) FROM t",
    "SELECT CAST(a, INTEGER) FROM t",
    "SELECT CAST(a AS VARCHAR(x)) FROM t",
    "SELECT INTEGER '5' FROM t",
    "SELECT a AS select FROM t",
    "SELECT a FROM t AS from",
    "SELECT date FROM t",
    "SELECT double FROM t",
    "SELECT a FROM t WITH w AS (SELECT b FROM u)",
    "WITH w AS SELECT a FROM t SELECT a FROM w",
    "WITH w AS (SELECT a FROM t)",
    "SELECT a FROM (WITH w AS (SELECT a FROM t) SELECT a FROM w) AS q",
    "SELECT a FROM t UNION",
    "SELECT a FROM t UNION DISTINCT ALL SELECT a FROM u",
    "SELECT a FROM t MINUS SELECT a FROM u",
    "SELECT a FROM t; SELECT a FROM u",
    "SELECT a FROM t;",
    "SELECT a FROM t AS x (b)",
    "SELECT (a, b) FROM t",
    "SELECT a FROM t WHERE (a, b) = (1, 2)",
    "SELECT a FROM t WHERE a == 1",
    "SELECT a FROM t WHERE a = 1 && b = 2",
    "SELECT a % 2 FROM t",
    "SELECT a ** 2 FROM t",
    "SELECT a << 2 FROM t",
    "SELECT a[1] FROM t",
    "SELECT a.* b FROM t",
    "EXPLAIN SELECT a FROM t",
    "DESCRIBE t",
    "SHOW TABLES",
    "SET a = 1",
    "TABLE t",
    "DROP TABLE t",
    "SELECT a INTO b FROM t",
    "SELECT a FROM t FOR UPDATE",
    "SELECT a FROM t FETCH FIRST 1 ROWS ONLY",
    "SELECT a FROM t OFFSET 1 ROWS",
    "SELECT my_function(a) FROM t",
    "SELECT s.f(a) FROM t",
]


@pytest.mark.req("ADQL-1")
@pytest.mark.parametrize("text", INVALID)
def test_what_the_grammar_has_not_is_refused(text: str) -> None:
    with pytest.raises(AdqlError):
        parse(text)


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
]


@pytest.mark.req("ADQL-6")
@pytest.mark.parametrize(("text", "said"), HINTS)
def test_an_error_says_what_was_meant_and_where(text: str, said: str) -> None:
    with pytest.raises(AdqlError, match="line 1, column") as caught:
        parse(text)
    assert said in caught.value.message
    assert caught.value.message.endswith("^")


@pytest.mark.req("ADQL-6")
@pytest.mark.parametrize(
    ("adql", "said"),
    [
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


KINDS = [
    ("double", None, None, "deg"), ("long", None, None, None), ("unicode", "*", None, None),
    ("double", "2", "point", "deg"), ("double", "*", "polygon", "deg"),
    ("double", None, None, "mas/yr"),
]  # fmt: skip


def made_for(tree: exp.Query, kind: tuple[str, str | None, str | None, str | None]) -> Catalogue:
    """Give the tables that a query names, each with all columns that it names, of one type."""
    known = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    parts = [c.this for c in tree.find_all(exp.Column)]
    parts += [part for join in tree.find_all(exp.Join) for part in join.args.get("using") or ()]
    names = {
        part.name if part.args.get("quoted") else part.name.lower(): part.name
        for part in parts
        if isinstance(part, exp.Identifier)
    }
    columns = tuple(
        Column(name, kind[0], kind[1], kind[3], xtype=kind[2]) for name in names.values()
    ) or (Column("a", "double"),)
    tables = {
        (t.db or "x", t.name): QueryTable(t.db or "x", TableModel(t.name, columns), pa.table({}))
        for t in tree.find_all(exp.Table)
        if t.db or t.name.lower() not in known
    }
    return Catalogue(tuple(tables.values()))


@pytest.mark.req("ADQL-1")
def test_valid_queries_of_ivoa_compile_on_tables_that_fit() -> None:
    if not IVOA.is_dir():
        pytest.skip(f"no queries of IVOA in {IVOA} (set CERRO_TRIAL_DATA)")
    failed = []
    count = 0
    for path in sorted(IVOA.glob("*.xml")):
        for i, query in enumerate(etree.parse(path).getroot().iter("query")):
            adql = query.find("adql")
            assert adql is not None
            text = adql.text or ""
            if adql.get("valid") != "true" or "eso_" in text.lower():
                continue
            count += 1
            tree, said = parse(text), []
            for kind in KINDS:
                try:
                    compile_query(text, made_for(tree, kind))
                    break
                except AdqlError as error:
                    said.append(error.message)
            else:
                # Tables that all have the same columns make a plain name unclear, and no one type
                # of column fits where shapes and numbers are mixed.
                if not any("is not clear" in message for message in said):
                    failed.append(f"{path.stem}-{i}")
    assert count > 160
    assert failed == ["O1_geometrical_functions-29", "X1_obscore_eso-11"]


@pytest.fixture(scope="module")
def rubin(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Give the tables of Rubin's data previews, without rows."""
    if not FELIS.is_dir():
        pytest.skip(f"no schemas in {FELIS} (set CERRO_TRIAL_DATA)")
    tables = []
    for file, name in [
        ("dp1", "dp1"), ("dp02_dc2", "dp02_dc2_catalogs"), ("dp03_10yr", "dp03_catalogs_10yr"),
        ("dp03_1yr", "dp03_catalogs_1yr"), ("ivoa_obscore", "ivoa"), ("dp2", "dp2"),
    ]:  # fmt: skip
        path = FELIS / f"{file}.yaml"
        if file == "dp2":
            whole = tmp_path_factory.mktemp("felis") / path.name
            whole.write_text(validate(path, resolve=True) or path.read_text())
            path = whole
        models = read(path).tables.values()
        tables += [QueryTable(name, model, pa.table({})) for model in models]
    return Catalogue((*tables, *view([], frozenset()).catalogue.tables))


_FILLED = {"{my_band}": "r", "{band}": "r", "{pf}": "r", "{string_polygon}": "1, 1, 2, 1, 2, 2"}


@pytest.mark.req("ADQL-9")
def test_the_queries_of_the_tutorials_compile(rubin: Catalogue) -> None:
    if not TUTORIALS.is_file():
        pytest.skip(f"no queries in {TUTORIALS} (set CERRO_TRIAL_DATA)")
    queries = {entry["query"] for entry in json.loads(TUTORIALS.read_text())}
    foreign = re.compile(r"gaiadr3|des_dr2|dbo\.|TAP_UPLOAD|pointings_sql|^\{|IN \{|TOP \{|%")
    refused, count = [], 0
    for query in sorted(queries):
        # What stands for a position, a number or a band is filled in; what stands for part of a
        # query, and tables of other archives, cannot be.
        if foreign.search(query) or "{flux_cut}" in query or re.search(r"\{[^}]*\}_", query):
            continue
        text = re.sub(r"'\{[^}]*\}, ?\{[^}]*\}'", "'1, 1'", query)
        text = re.sub(r"\{(use|str)_center_coords\}", "62, -37", text)
        text = re.sub(r"\{[^}]*\}", lambda match: _FILLED.get(match[0], "53.1"), text)
        count += 1
        try:
            compile_query(text, rubin)
        except AdqlError as error:
            refused.append(re.sub(r"line.*?: ", "", error.message.split("\n")[0]))
    assert count > 180
    # These are not ADQL: reserved words as names, and a column that is not grouped.
    assert sorted(refused) == [
        "detector is neither in GROUP BY nor inside COUNT, MIN, MAX, AVG, SUM.",
        *['distance is a reserved word of ADQL. As a name, write it in double quotes: "distance".']
        * 2,
    ]
