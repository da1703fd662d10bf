"""`cerro.cutouts`: the stamps of all rows of a table, as a notebook asks for them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from services.tests.images.pictures import FIELDS
from services.tests.serving import Served

import cerro


@pytest.fixture(autouse=True)
def _here(developed: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERRO_URL", developed.url)
    monkeypatch.delenv("CERRO_TOKEN", raising=False)


@pytest.mark.req("API-BULK-4")
def test_stamps_stand_in_the_order_of_the_table() -> None:
    x, y = np.array([100, 20, 250]), np.array([50, 150, 30])
    ra, dec = FIELDS[0].wcs.pixel_to_world_values(x, y)
    ra[1] = 200.0  # no image is there
    stamps = cerro.cutouts(Table({"RA": ra, "DEC": dec}), size="1.4 arcsec", bands="gr")
    assert (stamps.shape, stamps.dtype) == ((3, 2, 7, 7), np.float32)
    for row in (0, 2):
        whole = FIELDS[0].planes["IMAGE"]
        part = whole[y[row] - 3 : y[row] + 4, x[row] - 3 : x[row] + 4]
        np.testing.assert_array_equal(stamps[row, 0], part)
        np.testing.assert_array_equal(stamps[row, 1], part)
    assert np.isnan(stamps[1]).all()
    empty = Table({"ra": np.empty(0), "dec": np.empty(0)})
    assert cerro.cutouts(empty, size=5).shape == (0, 1, 5, 5)


@pytest.mark.req("API-BULK-4")
def test_what_is_wrong_says_what_to_do() -> None:
    there = Table({"ra": [60.0], "dec": [-30.0]})
    with pytest.raises(cerro.errors.CerroError, match="Rename them"):
        cerro.cutouts(Table({"a": [1.0]}), size=5)
    with pytest.raises(cerro.errors.CerroError, match="an angle such as"):
        cerro.cutouts(there, size="wide")
    with pytest.raises(cerro.errors.NotFoundError, match="no images in z"):
        cerro.cutouts(there, bands="z")
    with pytest.raises(cerro.errors.CerroError, match="no such images"):
        cerro.cutouts(there, size=5, bands="z")
