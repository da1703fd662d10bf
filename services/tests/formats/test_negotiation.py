"""The names by which clients ask for a format."""

from __future__ import annotations

import pyarrow as pa
import pytest
from services.tests.formats.documents import written

from cerro_services.adql import ResultColumn
from cerro_services.formats import (
    FormatError,
    choose,
)


@pytest.mark.req("FMT-8", "TAP-4")
@pytest.mark.parametrize(
    ("requested", "accept", "name"),
    [
        (None, None, "binary2"),
        (None, "*/*", "binary2"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "binary2"),
        (None, "text/csv", "csv"),
        (None, "text/csv;q=0.3, application/fits;q=0.7, image/png", "fits"),
        (None, "text/csv; q=0, application/json;q=0.1", "json"),
        (None, "application/x-votable+xml;serialization=tabledata;q=0.5", "tabledata"),
        ("votable", None, "binary2"),
        ("VOTable/TD", None, "tabledata"),
        ("votable/b2", None, "binary2"),
        ("votable/bin", None, "binary"),
        ("application/x-votable+xml;serialization=TABLEDATA", None, "tabledata"),
        ("application/x-votable+xml; serialization=binary2", None, "binary2"),
        ('application/x-votable+xml;serialization="binary"', None, "binary"),
        ("text/xml", None, "binary2"),
        ("text/xml;charset=UTF-8", None, "binary2"),
        ("text/csv;header=present", None, "csv"),
        ("text/csv;header=absent;charset=utf-8", None, "csv"),
        ("csv", "application/x-votable+xml", "csv"),
        ("tsv", None, "tsv"),
        ("text/tab-separated-values", None, "tsv"),
        ("fits", None, "fits"),
        ("application/fits", None, "fits"),
        ("image/fits", None, "fits"),
        ("json", None, "json"),
        ("application/json", None, "json"),
        ("parquet", None, "parquet"),
        ("application/vnd.apache.parquet", None, "parquet"),
        ("arrow", None, "arrow"),
        ("application/vnd.apache.arrow.stream", None, "arrow"),
        ("application/*", None, "binary2"),
    ],
)
def test_a_format_has_the_names_that_clients_use(
    requested: str | None, accept: str | None, name: str
) -> None:
    assert choose(requested, accept).name == name


@pytest.mark.req("FMT-8")
@pytest.mark.parametrize(
    ("requested", "mime"),
    [
        ("text/xml", "text/xml"),
        ("application/xml;serialization=tabledata", "application/xml"),
        ("votable", "application/x-votable+xml;serialization=binary2"),
    ],
)
def test_who_asks_for_xml_by_its_general_type_is_told_that_type(requested: str, mime: str) -> None:
    assert choose(requested).mime == mime


@pytest.mark.req("FMT-8")
def test_a_csv_can_be_had_without_header() -> None:
    form = choose("text/csv;header=absent")
    document, _ = written(form, [ResultColumn("a", "long")], pa.table({"a": [1, 2]}))
    assert document == b"1\r\n2\r\n"
    assert form.mime == "text/csv;header=absent"


@pytest.mark.req("FMT-8", "TAP-4")
@pytest.mark.parametrize(
    "requested",
    ["xlsx", "application/x-votable+xml;serialization=fits", "text/csv;charset=utf-16"],
)
def test_a_format_that_is_not_offered_is_refused_with_those_that_are(requested: str) -> None:
    offered = "binary2, tabledata, binary, csv, tsv, fits, json, parquet, arrow"
    with pytest.raises(FormatError, match=f"Ask for votable, {offered}"):
        choose(requested)
