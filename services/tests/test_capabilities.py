"""Capabilities declare what the service does, no less and no more (TAPRegExt 1.0)."""

from __future__ import annotations

import httpx
import pytest
from lxml import etree

from cerro_services.adql.functions import GEOMETRY, USER_DEFINED
from cerro_services.formats import FORMATS

from .serving import Served

FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"
# Of each optional feature of ADQL 2.1 one query that uses it.
USES = {
    "LOWER": "SELECT LOWER(band) FROM sky.Visit",
    "UPPER": "SELECT UPPER(band) FROM sky.Visit",
    "ILIKE": "SELECT visit FROM sky.Visit WHERE band ILIKE 'G'",
    "WITH": "WITH v AS (SELECT visit FROM sky.Visit) SELECT visit FROM v",
    "UNION": "SELECT visit FROM sky.Visit UNION SELECT visit FROM sky.Visit",
    "EXCEPT": "SELECT visit FROM sky.Visit EXCEPT SELECT 1 FROM sky.Visit",
    "INTERSECT": "SELECT visit FROM sky.Visit INTERSECT SELECT visit FROM sky.Visit",
    "CAST": "SELECT CAST(visit AS VARCHAR) FROM sky.Visit",
    "IN_UNIT": "SELECT TOP 1 IN_UNIT(ra, 'rad') FROM sky.Object",
    "OFFSET": "SELECT visit FROM sky.Visit ORDER BY visit OFFSET 2",
    "BIT_AND": "SELECT visit & 1 FROM sky.Visit",
    "BIT_OR": "SELECT visit | 1 FROM sky.Visit",
    "BIT_XOR": "SELECT visit ^ 1 FROM sky.Visit",
    "BIT_NOT": "SELECT ~visit FROM sky.Visit",
}


def declared(served: Served, token: str | None = None) -> etree._Element:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    document = httpx.get(f"{served.tap}/capabilities", headers=headers).content
    found = etree.fromstring(document).find("capability[@standardID='ivo://ivoa.net/std/TAP']")
    assert found is not None
    return found


def forms(capability: etree._Element, kind: str) -> list[str | None]:
    (group,) = capability.findall(f"language/languageFeatures[@type='{FEATURES}{kind}']")
    return [form.text for form in group.iterfind("feature/form")]


@pytest.mark.req("VO-6")
def test_functions_formats_and_uploads_are_those_that_there_are(served: Served) -> None:
    capability = declared(served)
    assert forms(capability, "adqlgeo") == list(GEOMETRY)
    assert forms(capability, "udf") == [form for form, _ in USER_DEFINED]
    mimes = [mime.text for mime in capability.iterfind("outputFormat/mime")]
    assert mimes == [form.mime for form in FORMATS]
    methods = {str(e.get("ivo-id")).split("#")[1] for e in capability.iterfind("uploadMethod")}
    assert {"upload-inline", "upload-http"} <= methods


@pytest.mark.req("VO-6")
def test_every_alias_of_a_format_is_understood(served: Served) -> None:
    outputs = declared(served).findall("outputFormat")
    assert len(outputs) == len(FORMATS)
    for output in outputs:
        mime = output.findtext("mime")
        assert output.findtext("alias"), mime
        for alias in output.iterfind("alias"):
            asked = {"QUERY": "SELECT visit FROM sky.Visit", "RESPONSEFORMAT": str(alias.text)}
            answer = httpx.post(f"{served.tap}/sync", data=asked)
            assert answer.status_code == 200, alias.text
            # Who asks for XML by its general type is told that type (TAP 1.1 §2.7.3).
            told = alias.text if alias.text in {"text/xml", "application/xml"} else mime
            assert answer.headers["content-type"].startswith(str(told).split(";", 1)[0])


@pytest.mark.req("VO-6")
def test_every_optional_feature_that_is_declared_works(served: Served) -> None:
    groups = declared(served).findall("language/languageFeatures")
    optional = [g for g in groups if not str(g.get("type")).endswith(("-udf", "-adqlgeo"))]
    names = {form.text for group in optional for form in group.iterfind("feature/form")}
    assert names == USES.keys()
    for query in USES.values():
        answer = httpx.post(f"{served.tap}/sync", data={"QUERY": query})
        assert answer.status_code == 200, answer.text


@pytest.mark.req("VO-6")
def test_limits_are_those_of_the_caller(served: Served) -> None:
    def limits(token: str | None) -> dict[str, int]:
        capability = declared(served, token)
        names = ("retentionPeriod", "executionDuration", "outputLimit", "uploadLimit")
        return {name: int(capability.findtext(f"{name}/hard") or "") for name in names}

    public, known = limits(None), limits("member")
    assert all(public[name] < known[name] for name in public)
    assert declared(served).find("uploadLimit/hard[@unit='byte']") is not None
    assert declared(served).find("outputLimit/hard[@unit='row']") is not None
