"""SIA 2.0: images by place, band, time and what else describes them."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
import pyvo
from astropy.io.votable import parse
from services.tests.images.pictures import FIELDS
from services.tests.serving import Served

OPEN = {field.name for field in FIELDS if field.kind == "coadd"}


def names(served: Served, **params: Any) -> set[str]:
    answer = httpx.get(f"{served.url}/api/sia/pix/query", params=params)
    assert answer.status_code == 200, answer.text
    return set(map(str, parse(io.BytesIO(answer.content)).get_first_table().array["obs_id"]))


@pytest.mark.req("API-SIA-1")
def test_pyvo_finds_images(gallery: Served) -> None:
    service = pyvo.dal.SIA2Service(f"{gallery.url}/api/sia/pix")
    found = service.search(pos=(60.0, -30.0, 0.001), band=(5.6e-7, 6.5e-7), calib_level=2)
    assert [record.obs_id for record in found] == ["middle"]
    assert found[0]["instrument_name"] == "TestCam"


@pytest.mark.req("API-SIA-1")
@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, OPEN),
        ({"POS": "CIRCLE 60 -30 0.001"}, {"middle", "green", "infra"}),
        ({"POS": "CIRCLE 359.9999 0 0.0005"}, {"wrap"}),
        ({"POS": "CIRCLE 0 90 0.01"}, {"pole"}),
        ({"POS": ["CIRCLE 0 0 0.001", "CIRCLE 0 90 0.01"]}, {"wrap", "pole"}),
        ({"POS": "RANGE 59.9 60.1 -30.1 -29.9"}, {"middle", "green", "infra"}),
        ({"POS": "RANGE 359.9 0.1 -1 1"}, {"wrap"}),
        ({"POS": "RANGE 0 360 80 +Inf"}, {"pole"}),
        ({"POS": "RANGE -Inf +Inf -Inf 0.5"}, OPEN - {"pole"}),
        ({"POS": "POLYGON 59.9 -30.1 60.1 -30.1 60 -29.9"}, {"middle", "green", "infra"}),
        ({"POS": "CIRCLE 120 20 1"}, set()),
        ({"BAND": "5e-7"}, {"green"}),
        ({"BAND": ["5e-7", "7e-7 +Inf"]}, {"green", "infra"}),
        ({"BAND": "-Inf 5.4e-7"}, {"green"}),
        ({"TIME": "60000 62000"}, OPEN),
        ({"TIME": "-Inf 60000"}, set()),
        ({"POL": "I"}, set()),
        ({"FOV": "0 1"}, OPEN),
        ({"FOV": "1 +Inf"}, set()),
        ({"SPATRES": "0 10"}, set()),
        ({"SPECRP": "0 10"}, set()),
        ({"EXPTIME": "30"}, OPEN),
        ({"EXPTIME": "31 +Inf"}, set()),
        ({"TIMERES": "0 1"}, set()),
        ({"ID": [FIELDS[0].id, FIELDS[1].id]}, {FIELDS[0].name, FIELDS[1].name}),
        ({"ID": "it's none"}, set()),
        ({"COLLECTION": "pix"}, OPEN),
        ({"FACILITY": "Test", "INSTRUMENT": "TestCam"}, OPEN),
        ({"FACILITY": "test"}, set()),
        ({"DPTYPE": "image"}, OPEN),
        ({"DPTYPE": "cube"}, set()),
        ({"CALIB": ["1", "2"]}, OPEN),
        ({"CALIB": "3"}, set()),
        ({"TARGET": "M31"}, set()),
        ({"FORMAT": "application/x-votable+xml;content=datalink"}, OPEN),
        ({"FORMAT": "image/png"}, set()),
    ],
    ids=str,
)
def test_every_parameter(gallery: Served, params: dict[str, Any], found: set[str]) -> None:
    assert names(gallery, **params) == found


@pytest.mark.req("API-SIA-2")
def test_too_many_are_marked_as_overflow(gallery: Served) -> None:
    answer = httpx.get(f"{gallery.url}/api/sia/pix/query", params={"MAXREC": 2})
    document = parse(io.BytesIO(answer.content))
    assert len(document.get_first_table().array) == 2
    infos = [info for resource in document.resources for info in resource.infos]
    assert [i.value for i in infos if i.name == "QUERY_STATUS"][-1] == "OVERFLOW"
    csv = httpx.get(f"{gallery.url}/api/sia/pix/query", params={"RESPONSEFORMAT": "csv"})
    assert len(csv.text.strip().splitlines()) == 1 + len(OPEN)


@pytest.mark.req("API-SIA-2")
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"POS": "CIRCLE 60 -30 0"}, "radius"),
        ({"POS": "SQUARE 1 2 3"}, "CIRCLE, RANGE or POLYGON"),
        ({"BAND": "2 1"}, "the lower first"),
        ({"TIME": "now"}, "one number"),
        ({"CALIB": "9"}, "from 0 to 4"),
        ({"POL": "Z"}, "POL=Z"),
        ({"MAXREC": "many"}, "MAXREC"),
        ({"RESPONSEFORMAT": "word"}, "word"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_a_votable(
    gallery: Served, params: dict[str, str], said: str
) -> None:
    answer = httpx.get(f"{gallery.url}/api/sia/pix/query", params=params)
    assert answer.status_code == 400
    infos = [i for r in parse(io.BytesIO(answer.content)).resources for i in r.infos]
    assert [i.value for i in infos if i.name == "QUERY_STATUS"] == ["ERROR"]
    assert said in answer.text
    assert httpx.get(f"{gallery.url}/api/sia/none/query").status_code == 404


@pytest.mark.req("API-SIA-3")
def test_images_are_seen_by_their_groups(gallery: Served) -> None:
    url = f"{gallery.url}/api/sia/pix/query"
    member = httpx.get(
        url, params={"RESPONSEFORMAT": "csv"}, headers={"Authorization": "Bearer viewer"}
    )
    assert "hidden" in member.text
    assert "hidden" not in httpx.get(url, params={"RESPONSEFORMAT": "csv"}).text
    assert httpx.get(url, headers={"Authorization": "Bearer member"}).status_code == 403


@pytest.mark.req("API-SIA-1")
def test_discovery_tells_where_images_are_found(gallery: Served) -> None:
    found = httpx.get(f"{gallery.url}/repertoire/discovery").json()["datasets"]["pix"]["services"]
    assert {"tap", "sia", "datalink", "cutout"} <= set(found)
    assert httpx.get(found["sia"]["versions"]["sia-2.0"]["url"]).status_code == 200
    assert httpx.get(f"{found['sia']['url']}/capabilities").status_code == 200
