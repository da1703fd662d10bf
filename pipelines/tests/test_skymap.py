"""Tracts hold the exposures, and patches tile a tract."""

from __future__ import annotations

import numpy as np
import pytest

from cerro_pipelines.skymap import Tract, make_tracts, polygon


def square(ra: float, dec: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    half = side / 2
    width = half / np.cos(np.radians(dec))
    return (
        np.array([ra - width, ra + width, ra + width, ra - width]),
        np.array([dec - half, dec - half, dec + half, dec + half]),
    )


@pytest.mark.req("PIPE-6")
def test_every_position_of_a_tract_belongs_to_one_patch() -> None:
    tract = Tract("s", 0, 10.0, -5.0, 0.2, 300, 25, 3, 2)
    rng = np.random.default_rng(2)
    x = rng.uniform(-0.5, tract.shape[1] - 0.5, 5000)
    y = rng.uniform(-0.5, tract.shape[0] - 0.5, 5000)
    owners = sum(p.owns(x - p.x0, y - p.y0).astype(int) for p in tract.patches())
    np.testing.assert_array_equal(owners, 1)


@pytest.mark.req("PIPE-6")
def test_patches_reach_over_their_border_but_not_out_of_the_tract() -> None:
    tract = Tract("s", 0, 10.0, -5.0, 0.2, 300, 25, 3, 2)
    middle = tract.patch(1)
    assert middle.inner == (300, 600, 0, 300)
    assert middle.outer == (275, 625, 0, 325)
    assert middle.shape == (325, 350)


@pytest.mark.req("PIPE-6")
def test_a_patch_has_the_projection_of_its_tract() -> None:
    tract = Tract("s", 0, 359.99, 60.0, 0.34, 200, 20, 2, 2)
    for patch in tract.patches():
        here = patch.wcs.all_pix2world([0.0, 37.5], [3.0, 50.25], 0)
        there = tract.wcs.all_pix2world(
            [patch.x0, patch.x0 + 37.5], [patch.y0 + 3.0, patch.y0 + 50.25], 0
        )
        np.testing.assert_allclose(here, there, rtol=0, atol=1e-11)


@pytest.mark.req("PIPE-6")
@pytest.mark.parametrize(("ra", "dec"), [(36.9, -5.2), (0.02, 40.0), (120.0, -75.0)])
def test_exposures_lie_in_the_tract_made_for_them(ra: float, dec: float) -> None:
    corners = [square(ra, dec, 0.1), square(ra + 0.05, dec + 0.03, 0.1)]
    (tract,) = make_tracts("s", corners, pixel_scale=0.3)
    for one in corners:
        assert tract.region.contains(polygon(*one))
        x, y = tract.wcs.all_world2pix(one[0] % 360, one[1], 0)
        assert x.min() >= -0.5
        assert y.min() >= -0.5
        assert x.max() <= tract.shape[1] - 0.5
        assert y.max() <= tract.shape[0] - 0.5


@pytest.mark.req("PIPE-6")
def test_fields_apart_get_tracts_of_their_own() -> None:
    tracts = make_tracts(
        "s", [square(10, 0, 0.1), square(80, 20, 0.1), square(10.05, 0, 0.1)], pixel_scale=0.3
    )
    assert [t.id for t in tracts] == [0, 1]
    assert {round(t.ra) for t in tracts} == {10, 80}


@pytest.mark.req("PIPE-6")
def test_a_tract_survives_being_stored() -> None:
    tract = Tract("s", 3, 10.0, -5.0, 0.2, 300, 25, 3, 2)
    assert Tract.from_dict(tract.to_dict()) == tract


@pytest.mark.req("PIPE-6")
def test_a_patch_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="has no patch 6"):
        Tract("s", 0, 10.0, -5.0, 0.2, 300, 25, 3, 2).patch(6)
