"""Files by signed addresses."""

from __future__ import annotations

import stat

import httpx
import pytest
from services.tests.serving import Served

from cerro_services.files import FileSigner

PLACE = "images/coadd/middle.fits"


@pytest.fixture
def address(gallery: Served) -> str:
    return FileSigner(gallery.settings).of("pix", "1", PLACE)


@pytest.mark.req("API-FILE-1")
def test_a_signed_address_opens_without_a_token(gallery: Served, address: str) -> None:
    assert gallery.settings.releases is not None
    whole = (gallery.settings.releases / "pix/versions/1" / PLACE).read_bytes()
    answer = httpx.get(address)
    assert (answer.status_code, answer.content) == (200, whole)
    assert answer.headers["Content-Type"] == "application/fits"
    part = httpx.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert int(httpx.head(address).headers["Content-Length"]) == len(whole)


@pytest.mark.req("API-FILE-1")
def test_what_was_changed_or_has_expired_is_refused(gallery: Served, address: str) -> None:
    signer = FileSigner(gallery.settings)
    for wrong in (
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        address.replace("middle", "green"),
        address.replace("expires=", "expires=9"),
        address.partition("?")[0],
        address.replace("expires=", "expires=x"),
        signer.of("pix", "1", PLACE, seconds=-10),
    ):
        assert httpx.get(wrong).status_code == 403
    assert httpx.get(signer.of("pix", "1", "images/none.fits")).status_code == 404
    assert httpx.get(signer.of("pix", "7", PLACE)).status_code == 404


@pytest.mark.req("API-FILE-1")
def test_the_key_is_kept_from_others(gallery: Served, address: str) -> None:
    key = gallery.settings.home / "services/files.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert FileSigner(gallery.settings).of("pix", "1", PLACE)[:60] == address[:60]
