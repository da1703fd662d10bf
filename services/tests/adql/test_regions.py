"""Regions by their STC-S text, and the coordinate systems of positions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerro_services.adql import AdqlError
from cerro_services.adql.regions import parse_region

from .tables import Ask, one

SYSTEMS = [
    ("GALACTIC", "galactic"),
    ("SUPERGALACTIC", "supergalactic"),
    ("ECLIPTIC", "barycentricmeanecliptic"),
    ("FK4", "fk4"),
]


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(("system", "frame"), SYSTEMS)
@settings(max_examples=8, deadline=None)
@given(lon=st.floats(0, 359.9), lat=st.floats(-89, 89))
def test_coordinate_systems_are_those_of_astropy(
    ask: Ask, system: str, frame: str, lon: float, lat: float
) -> None:
    from astropy.coordinates import SkyCoord

    extra = {"equinox": "B1950"} if frame == "fk4" else {}
    icrs = SkyCoord(lon, lat, unit="deg", frame=frame, **extra).icrs
    away = one(
        ask, f"DISTANCE(POINT('{system}', {lon!r}, {lat!r}), POINT({icrs.ra.deg}, {icrs.dec.deg}))"
    )
    assert isinstance(away, float)
    assert away < 1e-8
    if system != "FK4":
        column = f"POINT('{system}', {lon!r} + visit - visit, {lat!r})"
        assert one(ask, f"DISTANCE({column}, POINT({icrs.ra.deg}, {icrs.dec.deg}))") < 1e-8
        assert one(ask, f"COORD2({column})") == lat
        assert one(ask, f"COORDSYS({column})") == system
        there = f"POINT({icrs.ra.deg}, {icrs.dec.deg})"
        back = one(ask, f"ivo_geom_transform('ICRS', '{system}', {there})")
        assert isinstance(back, list)
        assert back[1] == pytest.approx(lat, abs=1e-7)


REGIONS = [
    ("POSITION 1 2", "POINT(1, 2)"),
    ("Circle ICRS 10 -20 1.5", "CIRCLE(10, -20, 1.5)"),
    ("CIRCLE GALACTIC 1 2 3", "CIRCLE('GALACTIC', 1, 2, 3)"),
    ("BOX ICRS GEOCENTER SPHERICAL2 10 20 4 2", "BOX(10, 20, 4, 2)"),
    ("polygon 1 1 2 1 2 2 1 2 1 1", "POLYGON(1, 1, 2, 1, 2, 2, 1, 2)"),
    ("UNION (CIRCLE 1 2 3)", "CIRCLE(1, 2, 3)"),
]


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(("text", "shape"), REGIONS)
def test_a_region_is_the_shape_that_its_text_says(ask: Ask, text: str, shape: str) -> None:
    assert one(ask, f"REGION('{text}')") == pytest.approx(one(ask, shape), abs=1e-12)


@pytest.mark.req("ADQL-3")
@pytest.mark.parametrize(
    ("region", "inside"),
    [
        ("UNION ICRS (CIRCLE 0 0 1 BOX 10 0 2 2)", [1, 0, 1, 0]),
        ("INTERSECTION (CIRCLE 0 0 20 NOT (CIRCLE 0 0 2))", [0, 1, 1, 0]),
        ("NOT (CIRCLE 0 0 5)", [0, 1, 1, 1]),
        ("NOT (UNION (CIRCLE 0 0 1 NOT (CIRCLE 0 0 50)))", [0, 1, 1, 0]),
    ],
)
def test_regions_are_put_together(ask: Ask, region: str, inside: list[int]) -> None:
    for lon, value in zip((0, 7, 10, 90), inside, strict=True):
        for point in (f"POINT({lon}, 0)", f"POINT({lon} + visit - visit, 0)"):
            assert one(ask, f"CONTAINS({point}, REGION('{region}'))") == value
            assert one(ask, f"INTERSECTS(REGION('{region}'), {point})") == value


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "text",
    [
        "", "ELLIPSE 1 2 3 4 5", "CIRCLE 1 2", "CIRCLE 1 2 -3", "CIRCLE 1 95 1", "POLYGON 1 2 3 4",
        "UNION (CIRCLE 1 2 3", "CIRCLE FK3 1 2 3", "CIRCLE 1 2 3 drop table", "NOT (" * 40,
        "UNION (" + "CIRCLE 1 2 3 " * 500 + ")", "POLYGON " + "1 2 " * 60_000,
        "CIRCLE 1 2 nan", "CIRCLE 1 2 1e999", "CIRCLE 1 2 0x10", "POSITION UNKNOWNFRAME TOPOCENTER",
    ],
)  # fmt: skip
def test_text_that_is_no_region_is_refused_in_words(text: str) -> None:
    with pytest.raises(AdqlError):
        parse_region(text)
