"""Random tables in every format: what is written is read back the same."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from hypothesis import given, settings
from pyarrow import csv, ipc, parquet
from services.tests.formats.documents import (
    Data,
    empty_like,
    expected,
    plain,
    read_votable,
    tables,
    unset,
    written,
)

_SPACE = " \0\t\r\n"


@pytest.mark.req("FMT-1", "TAP-4")
@settings(max_examples=120, deadline=None)
@given(data=tables())
def test_binary2_gives_back_every_value_and_every_null(data: Data) -> None:
    columns, table = data
    array = read_votable(written("binary2", columns, table)[0])
    assert len(array) == len(table)
    for column in columns:
        masks = np.ma.getmaskarray(array[column.name])
        cells = zip(array[column.name].data, masks, expected(table, column.name), strict=True)
        for found, masked, value in cells:
            if value is None:
                assert np.all(masked) or empty_like(plain(found)) or not np.size(found)
            elif value == "nan":
                assert masked or plain(found) == "nan"
            else:
                assert unset(plain(found)) == unset(value)
                assert not np.size(masked) or not np.all(masked) or empty_like(value)


@pytest.mark.req("FMT-1", "TAP-4")
@pytest.mark.parametrize("name", ["binary", "tabledata"])
@settings(max_examples=80, deadline=None)
@given(data=tables())
def test_the_other_votables_give_back_every_value(name: str, data: Data) -> None:
    columns, table = data
    array = read_votable(written(name, columns, table)[0])
    assert len(array) == len(table)
    for column in columns:
        for cell, value in zip(array[column.name], expected(table, column.name), strict=True):
            found = cell
            if column.datatype == "float" and np.size(found):
                # The shortest text of a float is that float again, but no other double.
                found = np.ma.filled(np.ma.asarray(found), np.nan).astype(np.float32)
            got = plain(found)
            if value is None:
                text = column.datatype in {"char", "unicodeChar"} or column.arraysize
                assert (
                    empty_like(got)
                    or (text and not np.size(found))
                    or np.all(np.ma.getmaskarray(np.ma.asarray(found)))
                )
            elif name == "tabledata" and column.datatype in {"char", "unicodeChar"}:
                # White space around a cell of TABLEDATA is no part of it for every reader.
                assert str(got).strip() == str(value).strip() or got == value
            else:
                assert unset(got) == unset(value)


@pytest.mark.req("FMT-1", "TAP-4")
@settings(max_examples=80, deadline=None)
@given(data=tables())
def test_parquet_gives_back_every_value_and_its_description(data: Data) -> None:
    columns, table = data
    document, _ = written("parquet", columns, table)
    read = parquet.read_table(io.BytesIO(document))
    for name in table.column_names:
        assert expected(read, name) == expected(table, name)
    metadata = parquet.read_metadata(io.BytesIO(document)).metadata
    fields = parse(io.BytesIO(metadata[b"IVOA.VOTable-Parquet.content"])).get_first_table().fields
    assert [field.name for field in fields] == table.column_names
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"


@pytest.mark.req("FMT-1")
@settings(max_examples=60, deadline=None)
@given(data=tables())
def test_arrow_gives_back_every_value(data: Data) -> None:
    columns, table = data
    read = ipc.open_stream(written("arrow", columns, table)[0]).read_all()
    for name in table.column_names:
        assert expected(read, name) == expected(table, name)
    assert read.schema.field(0).metadata[b"datatype"] in {
        (columns[0].datatype or "").encode(),
        b"unicodeChar",
    }


@pytest.mark.req("FMT-1")
@settings(max_examples=60, deadline=None)
@given(data=tables())
def test_json_gives_back_every_value_to_the_last_bit(data: Data) -> None:
    columns, table = data
    read = json.loads(written("json", columns, table)[0])
    assert [c["name"] for c in read["metadata"]] == table.column_names
    assert read["status"] == "OK"
    assert len(read["data"]) == len(table)
    for i, column in enumerate(columns):
        for found, cell in zip(
            [row[i] for row in read["data"]], table[column.name].to_pylist(), strict=True
        ):
            value = list(cell) if isinstance(cell, bytes) else cell
            flat = zip(*map(np.ravel, ([found], [value])), strict=True) if value else ()
            if isinstance(value, float | list) and value:
                for a, b in flat:
                    finite = not isinstance(b, float) or math.isfinite(b)
                    kind = np.float32 if column.datatype == "float" else type(b)
                    assert (kind(a) == kind(b)) if finite else a is None
            else:
                assert found == value


@pytest.mark.req("FMT-1", "TAP-4")
@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
@settings(max_examples=60, deadline=None)
@given(
    data=tables(
        ("boolean", "byte", "short", "int", "long", "float", "double", "char", "declared char")
    )
)
def test_csv_and_tsv_tell_an_empty_text_from_none(name: str, delimiter: str, data: Data) -> None:
    columns, table = data
    document, _ = written(name, columns, table)
    options = csv.ConvertOptions(
        column_types=table.schema,
        strings_can_be_null=True,
        quoted_strings_can_be_null=len(columns) == 1,
        null_values=[""],
    )
    parsing = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    read = csv.read_csv(io.BytesIO(document), convert_options=options, parse_options=parsing)
    assert read.column_names == table.column_names
    for column in table.column_names:
        found, values = expected(read, column), expected(table, column)
        if len(columns) == 1:
            # An empty line is no row to many a reader, so a lone column has "" for NULL.
            found, values = ([v or None for v in side] for side in (found, values))
        assert found == values


@pytest.mark.req("FMT-1")
@settings(max_examples=100, deadline=None)
@given(data=tables())
def test_fits_gives_back_every_value_and_null(data: Data) -> None:
    columns, table = data
    document, _ = written("fits", columns, table)
    with fits.open(io.BytesIO(document), character_as_bytes=True) as hdus:
        assert len(document) % 2880 == 0
        hdu = hdus[1]
        assert hdu.header["NAXIS2"] == len(table)
        assert [c.name for c in hdu.columns] == table.column_names
        raw = hdu.data
        for i, column in enumerate(columns):
            null = hdu.columns[i].null
            for row, value in enumerate(expected(table, column.name)):
                if not len(table):
                    break
                cell = raw[column.name][row]
                if column.datatype in {"char", "unicodeChar"}:
                    text = bytes(cell) if isinstance(cell, np.ndarray) else cell
                    # Space at the end is no part of a text in FITS (§7.3.3.1).
                    assert text.decode().rstrip(_SPACE) == str(value or "").rstrip(_SPACE)
                elif column.datatype == "boolean" and column.arraysize is None:
                    assert bool(cell) is (value or False)
                elif value is None:
                    absent = {"nan", None if null is None else str(null)}
                    got = plain(np.ravel(cell).tolist())
                    assert all(v in absent for v in got)
                else:
                    assert plain(cell.tolist() if isinstance(cell, np.ndarray) else cell) == value
                    assert null is None or str(null) not in np.ravel([value]).tolist()
