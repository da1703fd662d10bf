"""Values that a format has no plain place for: replaced, declared anew, or refused by name."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from pyarrow import parquet
from services.tests.formats.documents import BREAKING_OFF, BY_NAME, VOTABLES, read_votable, written

from cerro_services.adql import ResultColumn
from cerro_services.errors import CerroError
from cerro_services.formats import (
    Frame,
    Rows,
    describe,
    pieces,
    settled,
)


@pytest.mark.req("FMT-3", "TAP-4")
@pytest.mark.parametrize("name", VOTABLES)
def test_a_column_of_ascii_that_holds_more_is_declared_so(name: str) -> None:
    table = pa.table({"c": ["é日本😀", "plain"], "w": ["x", "y"]})
    columns = [ResultColumn("c", "char", "*"), ResultColumn("w", "char", "*")]
    found = parse(io.BytesIO(written(name, columns, table)[0])).get_first_table()
    assert [f.datatype for f in found.fields] == ["unicodeChar", "char"]
    assert [tuple(map(str, row)) for row in found.array] == [("é日本😀", "x"), ("plain", "y")]


@pytest.mark.req("FMT-3")
def test_text_that_comes_too_late_to_declare_spoils_no_table() -> None:
    columns = [ResultColumn("c", "char", "*")]
    late = pa.table({"c": ["x"] * 70_000 + ["é日"]})
    batches = iter(late.to_batches(max_chunksize=35_000))
    form = BY_NAME["binary2"]
    fields, batches = settled(form, describe(columns, late.schema), batches)
    document = b"".join(pieces(batches, form.writer(fields, Frame()), 10**6))
    assert read_votable(document)["c"][-1] == "??"


@pytest.mark.req("FMT-3")
def test_signs_that_xml_cannot_hold_are_replaced() -> None:
    table = pa.table({"c": ["a\0b\x1fc"], "u": ["é\x01\ufffe\uffff."]})
    columns = [ResultColumn("c", "char", "*"), ResultColumn("u", "unicodeChar", "*")]
    array = read_votable(written("tabledata", columns, table)[0])
    assert tuple(map(str, array[0])) == ("a?b?c", "é\ufffd\ufffd\ufffd.")


@pytest.mark.req("FMT-1")
@pytest.mark.parametrize("name", list(BY_NAME))
def test_an_integer_beyond_64_bits_with_sign_is_refused_by_name(name: str) -> None:
    table = pa.table({"big": pa.array([1, 2**63], pa.uint64())})
    form = BY_NAME[name]
    writer = form.writer(describe([ResultColumn("big")], table.schema), Frame())
    rows = Rows()
    try:
        list(pieces(table.to_batches(), writer, 10, rows))
    except ConnectionAbortedError:
        assert name in BREAKING_OFF
    assert isinstance(rows.error, CerroError)
    assert "big has a value that long cannot hold" in rows.error.message


@pytest.mark.req("FMT-1")
def test_binary_refuses_the_value_that_stands_for_null_rather_than_lose_it() -> None:
    first, last = [0] * 70_000, [-(2**31)]
    table = pa.table({"i": pa.array(first + last, pa.int32())})
    form = BY_NAME["binary"]
    batches = iter(table.to_batches(max_chunksize=70_000))
    fields, batches = settled(form, describe([ResultColumn("i", "int")], table.schema), batches)
    rows = Rows()
    document = b"".join(pieces(batches, form.writer(fields, Frame()), 10**6, rows))
    assert len(read_votable(document)) == 70_000
    assert b"votable/b2" in document.split(b"</TABLE>")[1]
    assert rows.error is not None


@pytest.mark.req("FMT-1", "TAP-4")
def test_times_are_written_as_dali_has_them() -> None:
    times = pa.table({"t": pa.array([0, 1_500_000, None], pa.timestamp("us")), "n": [1, 2, 3]})
    document, _ = written("csv", [ResultColumn("t"), ResultColumn("n")], times)
    assert document == b"t,n\r\n1970-01-01T00:00:00,1\r\n1970-01-01T00:00:01.500000,2\r\n,3\r\n"


@pytest.mark.req("FMT-1")
@pytest.mark.parametrize("size", ["2x3", "2x*"])
@pytest.mark.parametrize("name", [*VOTABLES, "fits", "json", "parquet"])
def test_an_array_of_two_dimensions_keeps_its_values_in_order(name: str, size: str) -> None:
    rows = [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], None, [[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]]]
    table = pa.table({"m": pa.array(rows, pa.list_(pa.list_(pa.float64())))})
    document, _ = written(name, [ResultColumn("m", "double", size)], table)
    if name == "parquet":
        found = parquet.read_table(io.BytesIO(document))["m"].to_pylist()
    elif name == "json":
        found = [row[0] for row in json.loads(document)["data"]]
    elif name == "fits":
        with fits.open(io.BytesIO(document)) as hdus:
            assert size == "2x*" or hdus[1].header["TDIM1"] == "(2,3)"
            found = [np.array(v) for v in hdus[1].data["m"]]
    else:
        found = list(read_votable(document)["m"])
    assert np.ravel(found[0]).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.ravel(found[2]).tolist() == [7, 8, 9, 10, 11, 12]


@pytest.mark.req("FMT-1")
def test_what_votable_has_no_type_for_is_written_as_json() -> None:
    table = pa.table({"w": [["a", "b"], None], "s": [{"x": 1}, None]})
    columns = [ResultColumn("w"), ResultColumn("s")]
    array = read_votable(written("binary2", columns, table)[0])
    assert tuple(array[0]) == ('["a", "b"]', '{"x": 1}')
