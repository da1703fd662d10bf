"""The publishing registry (OAI-PMH 2.0, RegistryInterfaces 1.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from lxml import etree

from cerro_services.config import Settings
from cerro_services.registry.records import Holdings
from cerro_services.registry.repository import answer
from cerro_services.release import ReleaseStore
from cerro_services.tap.tapschema import SCHEMA, view
from cerro_services.tap.vosi import TapLimits

from .serving import Served

OAI = "{http://www.openarchives.org/OAI/2.0/}"
RI = "{http://www.ivoa.net/xml/RegistryInterface/v1.0}"
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
AUTHORITY = "ivo://x-unregistred"


@pytest.fixture
def holdings(store: ReleaseStore) -> Holdings:
    releases = store.published()
    schemas = [s for s in view(releases, frozenset()).schemas if s.name != SCHEMA]
    return Holdings(
        Settings(releases=store.root, publisher="The <Observatory> & partners"),
        "http://a.example",
        datetime.now(UTC),
        {release.name: release for release in releases},
        schemas,
        TapLimits(1, 2, 3, 4, 5, 6),
        {("sky", "Object"): (1.5, -2.5)},
    )


def asked(served: Served, **arguments: str) -> etree._Element:
    reply = httpx.get(f"{served.url}/api/oai", params=arguments)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/xml")
    return etree.fromstring(reply.content)


@pytest.mark.req("VO-10")
def test_every_release_and_service_has_a_record(served: Served) -> None:
    reply = asked(served, verb="ListRecords", metadataPrefix="ivo_vor", set="ivo_managed")
    kinds = {
        record.findtext("identifier"): record.get(f"{XSI}type")
        for record in reply.iter(f"{RI}Resource")
    }
    assert kinds == {
        f"{AUTHORITY}/registry": "vg:Registry",
        AUTHORITY: "vg:Authority",
        f"{AUTHORITY}/organisation": "vr:Organisation",
        f"{AUTHORITY}/tap": "vs:CatalogService",
        f"{AUTHORITY}/release/sky": "vs:CatalogResource",
        f"{AUTHORITY}/cone/sky/Object": "vs:CatalogService",
        f"{AUTHORITY}/cone/sky/Source": "vs:CatalogService",
    }
    assert b"Secret" not in etree.tostring(reply)
    assert b"closed" not in etree.tostring(reply)


@pytest.mark.req("VO-10")
def test_the_tap_record_names_address_and_tables(served: Served) -> None:
    reply = asked(served, verb="GetRecord", metadataPrefix="ivo_vor", identifier=f"{AUTHORITY}/tap")
    (record,) = reply.iter(f"{RI}Resource")
    capability = record.find("capability[@standardID='ivo://ivoa.net/std/TAP']")
    assert capability is not None
    assert capability.findtext("interface[@role='std']/accessURL") == served.tap
    tables = {name.text for name in record.iterfind("tableset/schema/table/name")}
    assert {"sky.Object", "sky.Visit"} <= tables
    release = asked(
        served, verb="GetRecord", metadataPrefix="ivo_vor", identifier=f"{AUTHORITY}/release/sky"
    )
    (record,) = release.iter(f"{RI}Resource")
    served_by = record.find("content/relationship")
    assert served_by is not None
    assert served_by.findtext("relationshipType") == "IsServedBy"
    related = served_by.find("relatedResource")
    assert related is not None
    assert related.get("ivo-id") == f"{AUTHORITY}/tap"


@pytest.mark.req("VO-10")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "badVerb"),
        ({"verb": "Nonsense"}, "badVerb"),
        ({"verb": "Identify", "extra": "1"}, "badArgument"),
        ({"verb": "ListRecords"}, "badArgument"),
        ({"verb": "ListRecords", "metadataPrefix": "marc"}, "cannotDisseminateFormat"),
        (
            {"verb": "ListRecords", "metadataPrefix": "ivo_vor", "from": "2999-01-01"},
            "noRecordsMatch",
        ),
        ({"verb": "ListRecords", "metadataPrefix": "oai_dc", "set": "x"}, "noRecordsMatch"),
        ({"verb": "ListIdentifiers", "metadataPrefix": "oai_dc", "from": "soon"}, "badArgument"),
        (
            {"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "2026-01-02",
             "until": "2026-01-01"},
            "badArgument",
        ),
        (
            {"verb": "ListRecords", "metadataPrefix": "oai_dc", "from": "2026-01-01",
             "until": "2026-01-02T00:00:00Z"},
            "badArgument",
        ),
        (
            {"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": f"{AUTHORITY}/no"},
            "idDoesNotExist",
        ),
        ({"verb": "ListRecords", "resumptionToken": "%%"}, "badResumptionToken"),
        ({"verb": "ListSets", "resumptionToken": "a"}, "badResumptionToken"),
    ],
)  # fmt: skip
def test_an_error_has_the_code_of_the_protocol(
    served: Served, arguments: dict[str, str], code: str
) -> None:
    (error,) = asked(served, **arguments).findall(f"{OAI}error")
    assert error.get("code") == code
    assert error.text


@pytest.mark.req("VO-10")
def test_an_argument_given_twice_is_refused(served: Served) -> None:
    reply = httpx.get(f"{served.url}/api/oai?verb=Identify&verb=ListSets")
    error = etree.fromstring(reply.content).find(f"{OAI}error")
    assert error is not None
    assert error.get("code") == "badArgument"


@pytest.mark.req("VO-10")
def test_a_form_is_answered_as_an_address_is(served: Served) -> None:
    reply = httpx.post(f"{served.url}/api/oai", data={"verb": "ListMetadataFormats"})
    prefixes = {e.text for e in etree.fromstring(reply.content).iter(f"{OAI}metadataPrefix")}
    assert prefixes == {"ivo_vor", "oai_dc"}
    request = etree.fromstring(reply.content).find(f"{OAI}request")
    assert request is not None
    assert request.get("verb") == "ListMetadataFormats"


@pytest.mark.req("VO-10")
@pytest.mark.parametrize("verb", ["ListRecords", "ListIdentifiers"])
def test_tokens_lead_through_all_records_once(holdings: Holdings, verb: str) -> None:
    arguments = {"verb": verb, "metadataPrefix": "oai_dc"}
    found: list[str | None] = []
    for _ in range(10):
        reply = etree.fromstring(answer(holdings, list(arguments.items()), limit=2))
        found += [e.text for e in reply.iter(f"{OAI}identifier")]
        token = reply.find(f".//{OAI}resumptionToken")
        assert token is not None
        if not token.text:
            break
        arguments = {"verb": verb, "resumptionToken": token.text}
    assert found == [record.identifier for record in holdings.records()]


@pytest.mark.req("VO-10")
def test_harvesting_by_date_gives_what_changed(holdings: Holdings) -> None:
    def changed(**dates: str) -> set[str | None]:
        arguments = [("verb", "ListIdentifiers"), ("metadataPrefix", "ivo_vor"), *dates.items()]
        reply = etree.fromstring(answer(holdings, arguments))
        return {e.text for e in reply.iter(f"{OAI}identifier")}

    today = datetime.now(UTC).date()
    everything = {record.identifier for record in holdings.records()}
    assert changed(until=str(today)) == everything, "a day ends with its last second"
    assert changed(until=str(today - timedelta(days=1))) == set()


@pytest.mark.req("VO-10")
def test_who_publishes_is_a_setting(holdings: Holdings) -> None:
    reply = etree.fromstring(answer(holdings, [("verb", "Identify")]))
    assert reply.findtext(f".//{OAI}repositoryName") == (
        "The <Observatory> & partners: publishing registry"
    )
    (record,) = reply.iter(f"{RI}Resource")
    assert record.findtext("managedAuthority") == "x-unregistred"
