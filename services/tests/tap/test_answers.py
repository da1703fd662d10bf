"""Queries over HTTP, asked by pyvo and by hand: rows, metadata, formats, truncation."""

from __future__ import annotations

import io

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from astropy.io.votable import parse
from pyarrow import parquet
from services.tests.sky import ROWS
from services.tests.tap.asking import status


@pytest.mark.req("TAP-1")
def test_pyvo_gets_an_answer_with_units_and_descriptions(
    tap: pyvo.dal.TAPService, rows: dict[str, pa.Table]
) -> None:
    table = tap.search(
        "SELECT objectId, ra, flux, kind, good, seen FROM sky.Object "
        "WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 0, 0, 0.5)) ORDER BY objectId"
    ).to_table()
    expected = rows["Object"].filter(
        np.isin(rows["Object"]["objectId"].to_numpy(), np.asarray(table["objectId"]))
    )
    assert len(table) > 50
    assert str(table["ra"].unit) == "deg"
    assert table["flux"].description == "Flux < 1e5 & more"
    assert list(table["ra"]) == expected["ra"].to_pylist()
    assert [None if m else v for v, m in zip(table["flux"], table["flux"].mask, strict=True)] == (
        expected["flux"].to_pylist()
    )
    assert list(table["kind"]) == [kind or "" for kind in expected["kind"].to_pylist()]
    assert table["seen"][0] == expected["seen"][0].as_py().isoformat()


@pytest.mark.req("TAP-6")
def test_pyvo_finds_tables_columns_and_keys(tap: pyvo.dal.TAPService) -> None:
    tables = tap.tables
    assert {"sky.Object", "sky.Source", "sky.Visit", "tap_schema.columns"} <= set(tables.keys())
    columns = {column.name: column for column in tables["sky.Object"].columns}
    assert columns["ra"].unit == "deg"
    assert columns["ra"].ucd == "pos.eq.ra;meta.main"
    assert columns['"size"'].datatype.content == "double"
    assert "_healpix_29" not in columns


@pytest.mark.req("TAP-6")
def test_tap_schema_says_the_same_as_the_model(tap: pyvo.dal.TAPService) -> None:
    found = tap.search(
        "SELECT column_name, datatype, arraysize, xtype, unit, ucd, indexed, principal, std, "
        "column_index, \"size\" FROM TAP_SCHEMA.columns WHERE table_name = 'sky.Object' "
        "ORDER BY column_index"
    ).to_table()
    names = ["objectId", "ra", "dec", "flux", "n", "small", "kind", "good", "seen", '"size"']
    assert list(found["column_name"]) == names
    assert list(found["datatype"]) == [
        "long", "double", "double", "float", "int", "short", "unicodeChar", "boolean", "char",
        "double",
    ]  # fmt: skip
    assert found["xtype"][8] == "timestamp"
    assert found["indexed"][0] == 1
    assert found["principal"].dtype == np.int32
    keys = tap.search(
        "SELECT from_table, target_table, from_column, target_column FROM tap_schema.keys "
        "JOIN tap_schema.key_columns USING (key_id) WHERE from_table = 'sky.Source'"
    ).to_table()
    assert list(map(tuple, keys)) == [("sky.Source", "sky.Object", "objectId", "objectId")]


@pytest.mark.req("TAP-4")
@pytest.mark.parametrize(
    ("wanted", "mime"),
    [
        ("votable", "application/x-votable+xml;serialization=binary2"),
        ("votable/td", "application/x-votable+xml;serialization=tabledata"),
        ("csv", "text/csv;header=present"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_every_format_gives_the_same_rows(client: httpx.Client, wanted: str, mime: str) -> None:
    query = "SELECT visit, band FROM sky.Visit ORDER BY visit"
    answer = client.post("sync", data={"query": query, "Lang": "ADQL", "responseFormat": wanted})
    assert answer.headers["content-type"] == mime
    if "csv" in mime:
        rows = [tuple(line.split(",")) for line in answer.text.split("\r\n")[1:-1]]
    elif "parquet" in mime:
        table = parquet.read_table(io.BytesIO(answer.content))
        rows = [(str(row["visit"]), row["band"]) for row in table.to_pylist()]
    else:
        array = parse(io.BytesIO(answer.content)).get_first_table().array
        rows = [(str(row[0]), str(row[1])) for row in array]
    assert rows == [("0", "g"), ("1", "r"), ("2", "i"), ("3", "g"), ("4", "r")]


@pytest.mark.req("TAP-7")
@pytest.mark.parametrize(
    ("query", "maxrec", "count", "overflow"),
    [
        ("SELECT visit FROM sky.Visit", "3", 3, True),
        ("SELECT visit FROM sky.Visit", "5", 5, False),
        ("SELECT visit FROM sky.Visit", "0", 0, True),
        ("SELECT TOP 4 visit FROM sky.Visit", "4", 4, False),
        ("SELECT TOP 4 visit FROM sky.Visit", "3", 3, True),
        ("SELECT TOP 9 visit FROM sky.Visit", "7", 5, False),
        ("SELECT visit FROM sky.Visit OFFSET 4", "3", 1, False),
        ("SELECT visit FROM sky.Visit WHERE visit < 0", "3", 0, False),
    ],
)
def test_truncation_is_marked_in_every_format(
    client: httpx.Client, query: str, maxrec: str, count: int, overflow: bool
) -> None:
    for wanted in ("votable", "csv"):
        answer = client.get(
            "sync", params={"QUERY": query, "MAXREC": maxrec, "RESPONSEFORMAT": wanted}
        )
        assert answer.headers["x-cerro-overflow"] == str(overflow).lower()
        if wanted == "csv":
            assert answer.text.count("\r\n") == count + 1
        else:
            told = [value for value, _ in status(answer.content)]
            assert told == (["OK", "OVERFLOW"] if overflow else ["OK"])
            assert len(parse(io.BytesIO(answer.content)).get_first_table().array) == count


@pytest.mark.req("TAP-7")
@pytest.mark.parametrize(
    "given", [{"MAXREC": "9" * 40}, {"MAXREC": " 007 "}, {"UPLOAD": ""}, {"LANG": "", "RUNID": ""}]
)
def test_a_parameter_may_be_empty_or_more_than_there_can_be(
    client: httpx.Client, given: dict[str, str]
) -> None:
    asked = {"QUERY": "SELECT TOP 5 visit FROM sky.Visit", "FORMAT": "csv", **given}
    for answer in (client.get("sync", params=asked), client.post("sync", data=asked)):
        assert answer.status_code == 200, answer.text
        assert answer.text.count("\r\n") == 6


@pytest.mark.req("TAP-7")
def test_a_long_csv_says_before_its_first_byte_whether_rows_are_missing(
    client: httpx.Client,
) -> None:
    query = "SELECT a.*, b.mjd FROM sky.Object a, sky.Source b WHERE b.sourceId < 2"
    for maxrec, overflow in ((2 * ROWS, "false"), (2 * ROWS - 1, "true")):
        parameters = {"QUERY": query, "MAXREC": str(maxrec), "FORMAT": "csv"}
        with client.stream("GET", "sync", params=parameters) as answer:
            assert "content-length" not in answer.headers
            assert answer.headers["x-cerro-overflow"] == overflow
            assert sum(1 for _ in answer.iter_lines()) == maxrec + 1
