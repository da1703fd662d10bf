"""IVOA's user functions, and Gaia's and Rubin's: values by their definitions."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
from cerro_services.release.model import Column

from .tables import Answer, Ask, in_memory, one

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
