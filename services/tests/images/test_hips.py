"""HiPS of a release's images: tiles that show the images' pixels where they are on the sky."""

from __future__ import annotations

import io
from pathlib import Path

import astropy.units as u
import httpx
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from mocpy import MOC
from PIL import Image
from services.tests.images.pictures import FIELDS
from services.tests.serving import Served

from cerro_services.release.errors import ReleaseError
from cerro_services.release.hips import Survey, build
from cerro_services.release.progress import Progress

GREEN = FIELDS[1]


def get(served: Served, place: str, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{served.url}/api/hips/{place}", headers=headers)


def said(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


@pytest.mark.req("API-HIPS-1")
def test_tiles_show_the_pixels_where_they_are(gallery: Served, tmp_path: Path) -> None:
    about = said(get(gallery, "pix/coadd_g/properties").text)
    order = int(about["hips_order"])
    (tmp_path / "moc.fits").write_bytes(get(gallery, "pix/coadd_g/Moc.fits").content)
    moc = MOC.from_fits(tmp_path / "moc.fits")
    assert moc.contains_lonlat([GREEN.ra] * u.deg, [GREEN.dec] * u.deg).all()
    compared = 0
    for cell in moc.degrade_to_order(order).flatten():
        place = f"pix/coadd_g/Norder{order}/Dir{cell // 10000 * 10000}/Npix{cell}"
        answer = get(gallery, f"{place}.fits")
        assert answer.status_code == 200
        with fits.open(io.BytesIO(answer.content)) as hdus:
            pixels, wcs = hdus[0].data, WCS(hdus[0].header)
        ys, xs = np.nonzero(np.isfinite(pixels))
        x, y = GREEN.wcs.world_to_pixel_values(*wcs.pixel_to_world_values(xs, ys))
        inside = (x > 1) & (x < 298) & (y > 1) & (y < 198)
        # The pixels of the image rise evenly, so between them is what lies between.
        expected = x[inside] + 1000.0 * y[inside]
        np.testing.assert_allclose(pixels[ys, xs][inside], expected, atol=20)
        compared += int(inside.sum())
        drawn = Image.open(io.BytesIO(get(gallery, f"{place}.png").content))
        assert drawn.size == (512, 512)
        alpha = np.asarray(drawn)[::-1, :, 1]
        np.testing.assert_array_equal(alpha > 0, np.isfinite(pixels))
    assert compared > 10_000


@pytest.mark.req("API-HIPS-1")
def test_every_order_has_tiles_and_they_may_be_kept(gallery: Served) -> None:
    answer = get(gallery, "pix/coadd_g/Norder0/Dir0/Npix8.png")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    again = httpx.get(str(answer.url), headers={"If-None-Match": answer.headers["ETag"]})
    part = httpx.get(str(answer.url), headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, answer.content[:8])
    assert again.status_code in {200, 304}


@pytest.mark.req("API-HIPS-2")
def test_hips_are_seen_by_their_groups(gallery: Served) -> None:
    assert said(get(gallery, "list").text)["hips_service_url"].endswith("/api/hips/pix/coadd_g")
    assert "raw_r" not in get(gallery, "list").text
    assert "raw_r" in get(gallery, "list", "viewer").text
    assert get(gallery, "pix/raw_r/properties").status_code == 404
    assert get(gallery, "pix/raw_r/properties", "viewer").status_code == 200
    assert get(gallery, "pix/raw_r/properties", "member").status_code == 403


@pytest.mark.req("API-HIPS-2")
@pytest.mark.parametrize(
    "place",
    [
        "pix/coadd_g/../../release.yaml",
        "pix/coadd_g/%2e%2e/%2e%2e/release.yaml",
        "pix/..%2f..%2fobscore/properties",
        "pix/coadd_g/Norder0/Dir0/Npix99.png",
        "pix/none/properties",
        "none/coadd_g/properties",
    ],
)
def test_nothing_else_is_given(gallery: Served, place: str) -> None:
    assert get(gallery, place).status_code == 404


@pytest.mark.req("API-HIPS-1")
def test_images_that_are_not_there_are_named(gallery: Served, tmp_path: Path) -> None:
    assert gallery.settings.releases is not None
    version = gallery.settings.releases / "pix/versions/1"
    with pytest.raises(ReleaseError, match="it has coadd, raw"):
        build(version, "pix", Survey("none", "g"), Progress())
    with pytest.raises(ReleaseError, match="it has g, i, r"):
        build(version, "pix", Survey("coadd", "z"), Progress())
