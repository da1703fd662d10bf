"""DataLink 1.1: from an image to its file, a preview and cutouts, as pyvo follows them."""

from __future__ import annotations

import io

import httpx
import pytest
import pyvo
from astropy import units as u
from astropy.io import fits
from astropy.io.votable import parse
from pyvo.dal.adhoc import DatalinkResults, SodaQuery
from services.tests.images.pictures import FIELDS
from services.tests.serving import Served

FIELD = FIELDS[0]
HIDDEN = next(field for field in FIELDS if field.kind == "raw")


@pytest.mark.req("API-DL-1")
def test_pyvo_goes_from_obscore_to_the_file(gallery: Served) -> None:
    service = pyvo.dal.TAPService(gallery.tap)
    found = service.search(f"SELECT * FROM ivoa.ObsCore WHERE obs_id = '{FIELD.name}'")
    links = found[0].getdatalink()
    this = next(links.bysemantics("#this", include_narrower=False))
    assert this.content_type == "application/fits"
    content = httpx.get(this.access_url).content
    assert len(content) == this.content_length
    with fits.open(io.BytesIO(content)) as hdus:
        assert (hdus["IMAGE"].data == FIELD.planes["IMAGE"]).all()
    preview = next(links.bysemantics("#preview", include_narrower=False))
    assert httpx.get(preview.access_url).headers["Content-Type"] == "image/jpeg"


@pytest.mark.req("API-DL-1")
@pytest.mark.parametrize(
    ("name", "planes"),
    [("cutout-sync", 2), ("cutout-sync-maskedimage", 4), ("cutout-sync-exposure", 4)],
)
def test_pyvo_cuts_as_rubins_notebooks_do(gallery: Served, name: str, planes: int) -> None:
    links = DatalinkResults.from_result_url(f"{gallery.url}/api/datalink/links?ID={quoted()}")
    query = SodaQuery.from_resource(links, links.get_adhocservice_by_id(name))
    query.circle = (60 * u.deg, -30 * u.deg, 3.6 * u.arcsec)
    with fits.open(io.BytesIO(query.execute_stream().read())) as hdus:
        assert len(hdus) == planes
        assert hdus["IMAGE"].data.shape[0] in range(35, 39)


@pytest.mark.req("API-DL-2")
def test_unknown_and_hidden_images_have_the_same_fault(gallery: Served) -> None:
    ids = [FIELD.id, "ivo://cerro/pix?repo=pix&id=none", HIDDEN.id]
    for answer in (
        httpx.post(f"{gallery.url}/api/datalink/links", data={"ID": ids}),
        httpx.get(f"{gallery.url}/api/datalink/links", params={"ID": ids}),
    ):
        assert answer.headers["Content-Type"] == "application/x-votable+xml;content=datalink"
        rows = parse(io.BytesIO(answer.content)).get_first_table().array
        faults = {str(r["ID"]): str(r["error_message"]) for r in rows if r["error_message"]}
        assert set(faults) == set(ids[1:])
        said = {text.replace(key, "") for key, text in faults.items()}
        assert said == {"NotFoundFault: there is no image  that you may see"}
        assert any(r["access_url"] for r in rows)
    told = httpx.get(
        f"{gallery.url}/api/datalink/links",
        params={"ID": HIDDEN.id},
        headers={"Authorization": "Bearer viewer"},
    )
    assert b"NotFoundFault" not in told.content


@pytest.mark.req("API-DL-2")
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "ID is missing"),
        ({"ID": "a", "RESPONSEFORMAT": "csv"}, "RESPONSEFORMAT"),
        ({"ID": [str(i) for i in range(501)]}, "too many"),
    ],
    ids=["no id", "format", "many"],
)
def test_what_is_wrong_is_said_in_a_votable(
    gallery: Served, params: dict[str, object], said: str
) -> None:
    answer = httpx.post(f"{gallery.url}/api/datalink/links", data=params)
    assert answer.status_code == 400
    assert 'name="QUERY_STATUS" value="ERROR"' in answer.text
    assert said in answer.text


def quoted() -> str:
    return httpx.QueryParams({"i": FIELD.id}).__str__().partition("=")[2]
