"""Functions, operators and casts: values by definition, and what is known of the results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.adql.functions import OTHER, SCALARS, USER_DEFINED
from cerro_services.adql.resolver import resolver
from cerro_services.engine import QueryRefusedError
from cerro_services.release.model import Column

from .tables import Answer, in_memory

Ask = Callable[[str], pa.Table]


def one(ask: Ask, expression: str) -> object:
    return ask(f"SELECT TOP 1 {expression} AS v FROM sky.Visit").column("v")[0].as_py()


CATALOGUE = [
    # The examples of IVOA's catalogue of user-defined functions.
    ("ivo_healpix_index(0, POINT(1, 1))", 4),
    ("ivo_healpix_index(17, POINT('ICRS', 1, 1))", 81609757711),
    ("ivo_healpix_index(17, CENTROID(CIRCLE(359, -1, 3)))", 73009064944),
    ("ivo_healpix_center(0, 6)", [180.0, 0.0]),
    (
        "ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7))",
        [23.399843462947466, 56.70016214363192],
    ),
    ("ivo_nocasematch('abcabc', 'ab%')", 1),
    ("ivo_nocasematch('ABcabc', 'ab__bc')", 1),
    ("ivo_nocasematch('abcabc', '%BC')", 1),
    ("ivo_nocasematch('abcabc', 'ABCABC')", 1),
    ("ivo_nocasematch('abcabc', 'abcab')", 0),
    ("ivo_hasword('Miller and Urey have', 'miller')", 1),
    ("ivo_hasword('shown that a primordial', 'soup')", 0),
    ("ivo_hasword('shown that a primordial', 'shown primordial')", 1),
    ("ivo_hasword('shown that a primordial', 'shown soup')", 0),
    ("ivo_hashlist_has('red#green#blue', 'red')", 1),
    ("ivo_hashlist_has('Red#green#blue', 'red')", 1),
    ("ivo_hashlist_has('red#green#blue', 're')", 0),
    ("ivo_hashlist_has('red#green#blue', 'red#green')", 0),
    ("ivo_interval_overlaps(-2, -3, 2, 3)", 0),
    ("ivo_interval_overlaps(-2, 55.3, 2, 3)", 1),
    ("ivo_interval_overlaps(2, 3, -2, 55.3)", 1),
    ("ivo_interval_overlaps(-2, 55.3, 3, 2)", 0),
    ("ivo_interval_overlaps(-2, 2, 2, 3)", 1),
    # Epochs that everyone knows.
    ("ivo_to_mjd(CAST('2000-01-01T12:00:00' AS TIMESTAMP))", 51544.5),
    ("ivo_to_jd(TIMESTAMP '2000-01-01T12:00:00')", 2451545.0),
    ("ivo_to_mjd('1858-11-17')", 0.0),
    # A source_id of Gaia holds its cell of order 12 above 35 bits.
    ("gaia_healpix_index(12, 4472832130942575872)", 4472832130942575872 // 2**35),
    ("gaia_healpix_index(5, 4472832130942575872)", 4472832130942575872 // 2**35 // 4**7),
    ("gaia_healpix_index(visit - visit + 5, 4472832130942575872)", 4472832130942575872 // 2**49),
    ("ivo_healpix_index(visit - visit + 3, 10.0, 20.0)", 310),
    ("ivo_healpix_index(3, CAST(NULL AS DOUBLE), 1.0)", None),
    ("ivo_healpix_index(3, 400.0, visit + 95)", None),
    ("ivo_epoch_prop_pos(10, 0, 3600000, 0, 2000, 2001)", [11.0, 0.0]),
]


@pytest.mark.req("ADQL-5")
@pytest.mark.parametrize(("expression", "value"), CATALOGUE)
def test_a_user_function_gives_what_its_definition_says(
    ask: Ask, expression: str, value: object
) -> None:
    found = one(ask, expression)
    if expression.startswith("ivo_epoch"):
        # A motion of one degree a year along a straight line is seen as its arc tangent.
        assert found == pytest.approx([10 + math.degrees(math.atan(math.radians(1))), 0.0])
    else:
        assert found == (pytest.approx(value, abs=1e-10) if isinstance(value, list) else value)


@pytest.mark.req("ADQL-5")
@settings(max_examples=12, deadline=None)
@given(order=st.integers(0, 29), lon=st.floats(0, 360), lat=st.floats(-90, 90))
def test_healpix_cells_are_those_of_another_library(
    ask: Ask, order: int, lon: float, lat: float
) -> None:
    import hpgeom

    cell = int(hpgeom.angle_to_pixel(2**order, lon, lat, nest=True, lonlat=True, degrees=True))
    assert one(ask, f"ivo_healpix_index({order}, {lon!r}, {lat!r})") == cell
    x, y = hpgeom.pixel_to_angle(2**order, cell, nest=True, lonlat=True, degrees=True)
    centre = one(ask, f"DISTANCE(ivo_healpix_center({order}, {cell}), POINT({x}, {y}))")
    assert centre == pytest.approx(0, abs=1e-9)


@pytest.mark.req("ADQL-5")
def test_the_cells_that_rows_are_stored_by_are_those_of_their_positions(ask: Ask) -> None:
    # ra and dec are the table's main position; ra + 0 is an expression, whose cell is worked out.
    table = ask(
        "SELECT TOP 500 ivo_healpix_index(29, ra, dec) AS a, ivo_healpix_index(29, ra + 0, dec) AS "
        "b, ivo_healpix_index(7, POINT(ra, dec)) AS c, ivo_healpix_index(7, ra + 0, dec) AS d "
        "FROM sky.Object"
    )
    assert table["a"] == table["b"]
    assert table["c"] == table["d"]


@pytest.mark.req("ADQL-5")
@settings(max_examples=10, deadline=None)
@given(
    ra=st.floats(0, 359), dec=st.floats(-80, 80), parallax=st.floats(1, 500),
    pmra=st.floats(-3000, 3000), pmdec=st.floats(-3000, 3000), rv=st.floats(-200, 200),
    years=st.floats(-200, 200),
)  # fmt: skip
def test_stars_move_along_straight_lines_in_space(
    ask: Ask, ra: float, dec: float, parallax: float, pmra: float, pmdec: float, rv: float,
    years: float,
) -> None:  # fmt: skip
    # In astronomical units and years; 4.74 km/s are one of them a year.
    a, d = math.radians(ra), math.radians(dec)
    out = np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])
    east = np.array([-math.sin(a), math.cos(a), 0.0])
    north = np.cross(out, east)
    mas = math.radians(1) / 3.6e6
    far = 1 / (parallax * mas)
    speed = far * mas * (pmra * east + pmdec * north) + rv / 4.740470463533348 * out
    there = far * out + speed * years
    lon, lat = (
        math.degrees(math.atan2(there[1], there[0])),
        math.degrees(math.atan2(there[2], math.hypot(there[0], there[1]))),
    )
    given_ = f"{ra!r}, {dec!r}, {parallax!r}, {pmra!r}, {pmdec!r}, {rv!r}, 2016, {2016 + years!r}"
    away = one(ask, f"DISTANCE(ivo_epoch_prop_pos({given_}), POINT({lon!r}, {lat!r}))")
    assert away == pytest.approx(0, abs=1e-10)
    whole = one(ask, f"ivo_epoch_prop({given_})")
    assert isinstance(whole, list)
    assert whole[2] == pytest.approx(1 / (np.linalg.norm(there) * mas), rel=1e-9)
    assert whole[5] == pytest.approx(
        speed @ there / np.linalg.norm(there) * 4.740470463533348, rel=1e-9, abs=1e-9
    )


@pytest.mark.req("ADQL-5")
def test_aggregates_of_ivoa(ask: Ask, rows: dict[str, pa.Table]) -> None:
    assert ask("SELECT ivo_string_agg(band, ' <> ') AS s FROM sky.Visit").to_pylist() == [
        {"s": "g <> g <> i <> r <> r"}
    ]
    flux = rows["Object"]["flux"].drop_null().to_numpy().astype("f8")
    inner, _ = np.histogram(flux[(flux >= 0) & (flux < 200)], 4, (0, 200))
    expected = [int((flux < 0).sum()), *inner.tolist(), int((flux >= 200).sum())]
    table = ask("SELECT ivo_histogram(flux, 0, 200, 4) AS h, COUNT(flux) AS n FROM sky.Object")
    assert table.to_pylist() == [{"h": expected, "n": len(flux)}]
    grouped = ask("SELECT ivo_histogram(flux, 0, 200, 4) AS h FROM sky.Object GROUP BY n")
    assert np.sum(grouped["h"].to_pylist(), axis=0).tolist() == expected


@pytest.mark.req("ADQL-5")
def test_intervals_in_columns(answer: Answer) -> None:
    kind = pa.list_(pa.float64())
    table = pa.table({"em": pa.array([[1.0, 2.0], [3.0, 4.0], None], kind)})
    catalogue = in_memory("I", [Column("em", "double", "2", xtype="interval")], table)
    found = answer("SELECT ivo_interval_has(2, em) AS x FROM mem.I", catalogue)
    assert found["x"].to_pylist() == [1, 0, None]
    with pytest.raises(AdqlError, match="column of intervals"):
        compile_query("SELECT ivo_interval_has(2, 3) FROM mem.I", catalogue)


@pytest.fixture
def sesame() -> Iterator[str]:
    """Serve positions of two names as CDS Sesame does, and failures of all others."""

    class Sesame(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/M31": b"# M31\n%J 10.68470833 +41.26875 = 00:42:44.33\n", "/Nix": b"#!\n"}
            body = known.get(self.path)
            self.send_response(200 if body else 500)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sesame)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.req("ADQL-5")
def test_an_object_is_found_by_its_name(catalogue: Catalogue, sesame: str) -> None:
    resolve = resolver(sesame)
    adql = "SELECT visit FROM sky.Visit WHERE COORD1(ivo_simbadpoint('{}')) > visit"
    assert "10.68470833" in compile_query(adql.format("M31"), catalogue, resolve=resolve).template
    for name, said in [("Nix", "No object"), ("down", "does not answer"), (" ", "not a name")]:
        with pytest.raises(AdqlError, match=said):
            compile_query(adql.format(name), catalogue, resolve=resolve)
    with pytest.raises(AdqlError, match="no resolver"):
        compile_query(adql.format("M31"), catalogue)
    with pytest.raises(AdqlError, match="in quotes"):
        compile_query("SELECT ivo_simbadpoint(band) FROM sky.Visit", catalogue, resolve=resolve)


@pytest.mark.req("ADQL-5")
def test_every_user_function_is_declared() -> None:
    declared = {form.split("(")[0].upper() for form, _ in USER_DEFINED}
    offered = {name for name in (*OTHER, *SCALARS) if "_" in name} - {"IN_UNIT", "IVO_SIMBADPOINT"}
    assert declared == offered


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


RA, FLUX, SIZE = ("sky.Object", "ra"), ("sky.Object", "flux"), ("sky.Object", "size")
DESCRIBED = [
    # expression, datatype, unit, ucd, origin
    ("ra", "double", "deg", "pos.eq.ra;meta.main", RA),
    ("(ra)", "double", "deg", "pos.eq.ra;meta.main", RA),
    ("-ra", "double", "deg", "pos.eq.ra;meta.main", None),
    ("ra - dec", "double", "deg", None, None),
    ("ra + 1", "double", "deg", None, None),
    ("ra + n", "double", None, None, None),
    ("2 * flux", "double", "nJy", None, None),
    ("flux / 2", "double", "nJy", None, None),
    ("flux * flux", "float", "nJy**2", None, None),
    ("flux / flux", "float", None, None, None),
    ("1 / flux", "double", "nJy**-1", None, None),
    ('flux / "size"', "double", "nJy.arcsec**-1", None, None),
    ("SQRT(POWER(flux, 2) + POWER(flux, 2))", "double", "nJy", None, None),
    ("IN_UNIT(SQRT(POWER(\"size\", 2)), 'mas')", "double", "mas", None, None),
    ("IN_UNIT(ra, 'rad')", "double", "rad", "pos.eq.ra;meta.main", None),
    ("ABS(flux)", "float", "nJy", "phot.flux", None),
    ("ROUND(flux, 1)", "double", "nJy", "phot.flux", None),
    ("COALESCE(flux, 0)", "double", "nJy", "phot.flux", None),
    ("CAST(ra AS REAL)", "float", "deg", "pos.eq.ra;meta.main", None),
    ("n + small", "long", None, None, None),
    ("n & 1", "long", None, None, None),
    ("n / 2", "int", None, None, None),
    ("LOWER(kind)", "char", None, None, None),
    ("DISTANCE(ra, dec, 0, 0)", "double", "deg", "pos.angDistance", None),
    ("COORD1(POINT(ra, dec))", "double", "deg", "pos.eq.ra;meta.main", RA),
    ("AREA(CIRCLE(ra, dec, 1))", "double", "deg**2", "phys.angArea", None),
    ("scisql_nanojanskyToAbMag(flux)", "double", "mag", "phot.mag", None),
]


@pytest.mark.req("ADQL-7")
@pytest.mark.parametrize(("expression", "datatype", "unit", "ucd", "origin"), DESCRIBED)
def test_an_expression_keeps_what_is_known_of_its_columns(
    catalogue: Catalogue, ask: Ask, expression: str, datatype: str, unit: str | None,
    ucd: str | None, origin: tuple[str, str] | None,
) -> None:  # fmt: skip
    (column,) = compile_query(f"SELECT {expression} FROM sky.Object", catalogue).columns
    assert (column.datatype, column.unit, column.ucd) == (datatype, unit, ucd)
    assert column.origin == origin
    arrow = {"double": pa.float64(), "long": pa.int64(), "int": pa.int32()}.get(datatype)
    if arrow is not None:
        found = ask(f"SELECT TOP 1 {expression} AS v FROM sky.Object").schema.field("v").type
        assert found == arrow


@pytest.mark.req("ADQL-7")
@pytest.mark.parametrize(
    ("adql", "unit", "origin"),
    [
        ("SELECT q.a AS b FROM (SELECT ra AS a FROM sky.Object) AS q", "deg", RA),
        ("WITH w AS (SELECT flux FROM sky.Object) SELECT flux FROM w", "nJy", FLUX),
        ("SELECT ra FROM sky.Object UNION SELECT ra FROM sky.Object", "deg", RA),
        ("SELECT ra FROM sky.Object UNION SELECT dec FROM sky.Object", "deg", None),
        ("SELECT MAX(flux) AS m FROM sky.Object", "nJy", None),
        ("SELECT AVG(flux) AS m FROM sky.Object", "nJy", None),
        ('SELECT x.* FROM (SELECT "size" FROM sky.Object) AS x', "arcsec", SIZE),
        ("SELECT flux FROM sky.Object ORDER BY flux DESC OFFSET 3", "nJy", FLUX),
        ("SELECT q.z FROM (SELECT flux + 0 AS z FROM sky.Object) AS q", "nJy", None),
    ],
)
def test_what_is_known_survives_queries_within_queries(
    catalogue: Catalogue, adql: str, unit: str, origin: tuple[str, str] | None
) -> None:
    (column,) = compile_query(adql, catalogue).columns
    assert (column.unit, column.origin) == (unit, origin)


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
@given(text=st.text(max_size=30))
def test_no_text_of_a_query_gets_out_of_its_quotes(ask: Ask, text: str) -> None:
    if "\0" in text:
        return
    quoted = text.replace("'", "''")
    assert one(ask, f"'{quoted}'") == text
    assert one(ask, f"ivo_nocasematch('{quoted}', 'x') + 0") in {0, 1}
    name = text.replace('"', '""')
    if text:
        table = ask(f'SELECT TOP 1 visit AS "{name}" FROM sky.Visit ORDER BY "{name}"')
        assert table.column_names == [text]
