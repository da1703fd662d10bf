"""What is known of a result: type, unit, UCD and origin, through expressions and queries."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cerro_services.adql import Catalogue, compile_query

from .tables import Ask

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
