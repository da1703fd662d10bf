"""Results as documents: what is written is read back the same, and truncation is told."""

from __future__ import annotations

import io
import json
import math
import resource
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, ipc, parquet

from cerro_services.adql import ResultColumn
from cerro_services.engine import EngineError
from cerro_services.errors import CerroError
from cerro_services.formats import (
    FORMATS,
    Format,
    FormatError,
    Frame,
    Input,
    Rows,
    Service,
    choose,
    describe,
    pieces,
    settled,
)

BY_NAME = {form.name: form for form in FORMATS}
VOTABLES = ["binary2", "binary", "tabledata"]
BREAKING_OFF = ["csv", "tsv", "fits", "parquet", "arrow"]
# Every sign that XML may hold; those that it may not have a test of their own.
SIGNS = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\t\n\r")
UNICODE = st.text(SIGNS, max_size=12)
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)


def _integers(bits: int) -> st.SearchStrategy[int]:
    ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.sampled_from(ends) | st.integers(*ends)


def _lists(values: st.SearchStrategy[object], size: int | None = None) -> st.SearchStrategy[object]:
    return st.lists(values, min_size=size or 0, max_size=size or 4)


F8 = pa.float64()
TYPES: dict[str, tuple[ResultColumn, pa.DataType, st.SearchStrategy[object]]] = {
    "boolean": (ResultColumn("b", "boolean"), pa.bool_(), st.booleans()),
    "byte": (ResultColumn("y", "unsignedByte"), pa.uint8(), st.integers(0, 255)),
    "short": (ResultColumn("h", "short"), pa.int16(), _integers(16)),
    "int": (ResultColumn("i", "int"), pa.int32(), _integers(32)),
    "long": (ResultColumn("l", "long"), pa.int64(), _integers(64)),
    "unsigned": (ResultColumn("k", "long"), pa.uint64(), st.integers(0, 2**63 - 1)),
    "float": (ResultColumn("f", "float"), pa.float32(), st.floats(width=32)),
    "double": (ResultColumn("d", "double"), F8, st.floats()),
    "unicode": (ResultColumn("u", "unicodeChar", "*"), pa.string(), UNICODE),
    "declared char": (ResultColumn("s", "char", "*"), pa.string(), UNICODE),
    "char": (ResultColumn("c", "char", "*"), pa.string(), ASCII),
    "code": (ResultColumn("o", "char", "5"), pa.string(), st.text("abc", max_size=5)),
    "point": (
        ResultColumn("p", "double", "2", xtype="point"),
        pa.list_(F8, 2),
        _lists(st.floats(allow_nan=False), 2),
    ),
    "floats": (
        ResultColumn("a", "float", "*"),
        pa.list_(pa.float32()),
        _lists(st.floats(width=32)),
    ),
    "longs": (ResultColumn("m", "long", "*"), pa.list_(pa.int64()), _lists(_integers(64))),
    "shorts": (ResultColumn("r", "short", "3"), pa.list_(pa.int16(), 3), _lists(_integers(16), 3)),
    "flags": (ResultColumn("g", "boolean", "*"), pa.list_(pa.bool_()), _lists(st.booleans())),
    "bytes": (ResultColumn("x", "unsignedByte", "*"), pa.binary(), st.binary(max_size=5)),
}
_SPACE = " \0\t\r\n"
Data = tuple[list[ResultColumn], pa.Table]


@st.composite
def tables(draw: st.DrawFn, names: tuple[str, ...] = tuple(TYPES)) -> Data:
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=9))
    rows = draw(st.integers(0, 9))
    columns, arrays = [], []
    for i, name in enumerate(chosen):
        column, kind, values = TYPES[name]
        columns.append(column.named(f"{column.name}{i}"))
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        arrays.append(pa.array(cells, kind))
    return columns, pa.table(arrays, names=[c.name for c in columns])


def written(
    form: Format | str,
    columns: list[ResultColumn],
    table: pa.Table,
    maxrec: int = 1000,
    services: tuple[Service, ...] = (),
) -> tuple[bytes, Rows]:
    form = BY_NAME[form] if isinstance(form, str) else form
    rows = Rows()
    # Batches of three rows, so that what is carried from one to the next is tried too.
    batches = iter(table.to_batches(max_chunksize=3))
    fields, batches = settled(form, describe(columns, table.schema), batches)
    writer = form.writer(fields, Frame((("QUERY", "SELECT <a> & 'b'"),), services))
    document = b"".join(pieces(batches, writer, maxrec, rows))
    return document, rows


def plain(value: object) -> object:
    """Give a value so that equal ones compare equal: NaN, and arrays, as text."""
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, bytes):
        return [str(int(v)) for v in value]
    if isinstance(value, np.ndarray) and not value.ndim:
        return plain(value[()])
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return "nan" if math.isnan(value) else float(value).hex()
    return str(value)


def expected(table: pa.Table, name: str) -> list[object]:
    return [plain(v) for v in table[name].to_pylist()]


def unset(value: object) -> object:
    """Give NaN as none: astropy makes one of the other where a format cannot tell."""
    if isinstance(value, list):
        return [unset(v) for v in value]
    return None if value == "nan" else value


def empty_like(value: object) -> bool:
    """Whether a value may stand for NULL where a format cannot tell: empty, NaN, or no element."""
    flat = value if isinstance(value, list) else [value]
    return all(v in {None, "", "nan"} for v in flat)


def read_votable(document: bytes) -> np.ma.MaskedArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parse(io.BytesIO(document)).get_first_table().array


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


@pytest.mark.req("FMT-1")
def test_fits_tells_null_from_every_value_even_where_all_bytes_are_taken() -> None:
    table = pa.table(
        {
            "y": pa.array([*range(256), None], pa.uint8()),
            "l": pa.array([-(2**63), 2**63 - 1, *range(254), None], pa.int64()),
        }
    )
    columns = [ResultColumn("y", "unsignedByte"), ResultColumn("l", "long")]
    read = Table.read(io.BytesIO(written("fits", columns, table)[0]))
    assert read["y"].tolist() == table["y"].to_pylist()
    assert read["l"].tolist() == table["l"].to_pylist()


@pytest.mark.req("FMT-1")
def test_one_long_text_does_not_make_every_row_of_fits_as_long() -> None:
    texts = ["x" * 1_000_000, *["y"] * 500, None]
    document, _ = written("fits", [ResultColumn("t", "char", "*")], pa.table({"t": texts}))
    assert len(document) < 1_100_000
    with fits.open(io.BytesIO(document)) as hdus:
        assert hdus[1].header["TFORM1"] == "1PA(1000000)"
        pointers = hdus[1].data.view(np.ndarray).view(">i4").reshape(-1, 2)
    assert pointers[:, 0].tolist() == [1_000_000, *[1] * 500, 0]
    assert pointers[1:, 1].tolist() == [*range(1_000_000, 1_000_501)]


@pytest.mark.req("FMT-2")
def test_fits_keeps_units_ucds_and_descriptions_and_tells_names_apart() -> None:
    table = pa.table({"a": pa.array([1.5]), "b": pa.array([2.5]), "c": pa.array([1])})
    columns = [
        ResultColumn("flux", "double", unit="nJy", ucd="phot.flux", description="µ is a sign"),
        ResultColumn("Flux", "double"),
        ResultColumn("", "long"),
    ]
    with fits.open(io.BytesIO(written("fits", columns, table)[0])) as hdus:
        header = hdus[1].header
        assert [header[f"TTYPE{i}"] for i in (1, 2, 3)] == ["flux", "Flux_2", "col3"]
        assert (header["TUNIT1"], header["TUCD1"]) == ("nJy", "phot.flux")
        assert header["TCOMM1"] == "? is a sign"
        hdus.verify("exception")


@pytest.mark.req("FMT-2")
@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_columns_of_one_name_are_told_apart_where_readers_need_it(name: str) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "b"])
    document, _ = written(name, [ResultColumn("n", "long")] * 2, table)
    read = ipc.open_stream(document).read_all() if name == "arrow" else None
    read = read or parquet.read_table(io.BytesIO(document))
    assert read.column_names == ["n", "n_2"]


@pytest.mark.req("FMT-2", "TAP-4")
def test_astropy_reads_units_and_descriptions_from_parquet() -> None:
    columns = [ResultColumn("flux", "float", unit="nJy", ucd="phot.flux", description="a < b & c")]
    columns.append(ResultColumn("kind", "char", "*"))
    table = pa.table({"flux": pa.array([1.5, 2.5], pa.float32()), "kind": ["star", ""]})
    document, _ = written("parquet", columns, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = Table.read(io.BytesIO(document), format="parquet.votable")
    assert str(read["flux"].unit) == "nJy"
    assert read["flux"].description == "a < b & c"
    assert list(read["kind"]) == ["star", ""]


@pytest.mark.req("FMT-2")
def test_pandas_reads_parquet_csv_tsv_and_json() -> None:
    table = pa.table({"a": pa.array([2**62 + 1, None]), "t": ['a, "b"\n', None]})
    columns = [ResultColumn("a", "long"), ResultColumn("t", "char", "*")]
    frame = pd.read_parquet(io.BytesIO(written("parquet", columns, table)[0]))
    assert list(frame.columns) == ["a", "t"]
    for name, separator in (("csv", ","), ("tsv", "\t")):
        document, _ = written(name, columns, table)
        frame = pd.read_csv(io.BytesIO(document), sep=separator, dtype={"a": "Int64"})
        assert frame["a"].tolist()[0] == 2**62 + 1
        assert frame["t"][0] == 'a, "b"\n'
        assert frame.isna().iloc[1].all()
    read = json.loads(written("json", columns, table)[0])
    frame = pd.DataFrame(read["data"], columns=[c["name"] for c in read["metadata"]])
    assert frame["a"][0] == 2**62 + 1


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
            assert name != "fits" or size == "2x*" or hdus[1].header["TDIM1"] == "(2,3)"
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


@pytest.mark.req("FMT-4", "TAP-7")
@pytest.mark.parametrize("name", list(BY_NAME))
@pytest.mark.parametrize(
    ("rows", "maxrec", "overflow"), [(9, 9, False), (10, 9, True), (5, 0, True), (0, 0, False)]
)
def test_no_more_rows_than_maxrec_and_overflow_is_known(
    name: str, rows: int, maxrec: int, overflow: bool
) -> None:
    table = pa.table({"a": pa.array(range(rows), pa.int32())})
    document, told = written(name, [ResultColumn("a", "int")], table, maxrec)
    assert told.count == min(rows, maxrec)
    assert told.overflow is overflow
    if name in VOTABLES:
        after = document.split(b"</TABLE>")[1]
        assert (b'value="OVERFLOW"' in after) is overflow
        assert len(read_votable(document)) == told.count
    elif name == "parquet":
        metadata = parquet.read_metadata(io.BytesIO(document)).metadata
        assert (b"OVERFLOW" in metadata[b"IVOA.VOTable-Parquet.content"]) is overflow
        assert (metadata.get(b"cerro.status") == b"OVERFLOW") is overflow
    elif name == "fits":
        assert (fits.getheader(io.BytesIO(document), 1)["QSTATUS"] == "OVERFLOW") is overflow
    elif name == "json":
        assert json.loads(document)["status"] == ("OVERFLOW" if overflow else "OK")
    elif name == "arrow":
        reader = ipc.open_stream(document)
        last = None
        while True:
            try:
                last = reader.read_next_batch_with_custom_metadata().custom_metadata
            except StopIteration:
                break
        assert ((last or {}).get(b"cerro.status") == b"OVERFLOW") is overflow


def failing() -> Iterator[pa.RecordBatch]:
    yield pa.record_batch({"a": pa.array([1, 2], pa.int32())})
    raise EngineError("The disk <broke> & fell.")


def failed(name: str) -> tuple[bytes, Rows]:
    schema = pa.schema([("a", pa.int32())])
    writer = BY_NAME[name].writer(describe([ResultColumn("a", "int")], schema), Frame())
    rows, parts = Rows(), []
    try:
        parts.extend(pieces(failing(), writer, 10, rows))
    except ConnectionAbortedError:
        return b"", rows
    return b"".join(parts), rows


@pytest.mark.req("FMT-5", "TAP-8")
@pytest.mark.parametrize("name", VOTABLES)
def test_an_error_after_the_first_rows_is_told_in_the_same_document(name: str) -> None:
    resource = parse(io.BytesIO(failed(name)[0])).resources[0]
    assert len(resource.tables[0].array) == 2
    assert [(i.value, i.content) for i in resource.infos][-1] == (
        "ERROR",
        "The disk <broke> & fell.",
    )


@pytest.mark.req("FMT-5")
def test_json_ends_with_the_error() -> None:
    read = json.loads(failed("json")[0])
    assert (read["status"], read["message"]) == ("ERROR", "The disk <broke> & fell.")
    assert read["data"] == [[1], [2]]


@pytest.mark.req("FMT-5", "TAP-8")
@pytest.mark.parametrize("name", BREAKING_OFF)
def test_formats_that_cannot_tell_an_error_break_off(name: str) -> None:
    document, rows = failed(name)
    assert document == b""
    assert rows.error is not None


SERVICES = (
    Service(
        "links",
        "What <else> there is",
        (("standardID", "ivo://ivoa.net/std/DataLink#links-1.1"), ("accessURL", "http://x/links")),
        (
            Input("ID", 1, datatype="long", arraysize=None, ucd="meta.id;meta.main"),
            Input("RADIUS", None, "0.5", "double", None, "deg", description="How far"),
        ),
    ),
)


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize("name", [*VOTABLES, "parquet"])
def test_services_name_the_columns_that_they_take(name: str) -> None:
    table = pa.table({"ra": [1.5], "id": [7]})
    columns = [ResultColumn("ra", "double"), ResultColumn("id", "long")]
    document, _ = written(name, columns, table, services=SERVICES)
    if name == "parquet":
        metadata = parquet.read_metadata(io.BytesIO(document)).metadata
        document = metadata[b"IVOA.VOTable-Parquet.content"]
    results, service = parse(io.BytesIO(document)).resources
    assert (service.type, service.utype) == ("meta", "adhoc:service")
    assert [p.value for p in service.params][1] == "http://x/links"
    ident, radius = service.groups[0].entries
    assert ident.ref == results.tables[0].fields[1].ID
    assert results.tables[0].fields[0].ID in {None, "ra"}
    assert (radius.value, str(radius.unit)) == (0.5, "deg")


@pytest.mark.req("FMT-7")
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_votlint_finds_nothing_and_stilts_reads_every_format_alike(tmp_path: Path) -> None:
    table, columns = every_type()
    found: dict[str, str] = {}
    for name in ("binary2", "binary", "tabledata", "fits", "csv"):
        document, _ = written(name, columns, table, services=SERVICES)
        path = tmp_path / f"{name}.{BY_NAME[name].extension}"
        path.write_bytes(document)
        if name in VOTABLES:
            lint = stilts("votlint", str(path))
            assert not lint, f"{name}: {lint}"
        kind = {"fits": "fits", "csv": "csv"}.get(name, "votable")
        found[name] = stilts("tpipe", f"in={path}", f"ifmt={kind}", "ofmt=csv")
    for name in ("binary", "tabledata"):
        assert found[name].splitlines() == found["binary2"].splitlines()
    assert len(found["fits"].splitlines()) == len(found["csv"].splitlines()) == 5


def stilts(*arguments: str) -> str:
    done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr, done.stderr
    return done.stdout


def every_type() -> tuple[pa.Table, list[ResultColumn]]:
    cells: dict[str, list[object]] = {
        "boolean": [True, False, None, True],
        "short": [1, None, -5, 2],
        "long": [2**63 - 1, -(2**62), None, 0],
        "int": [2**31 - 1, None, 5, -7],
        "byte": [0, 255, None, 3],
        "float": [1.5, None, 2.5, -1e30],
        "double": [1e300, 0.1, None, -0.25],
        "unicode": ["é日本😀", "", None, "plain"],
        "char": ["<&>", 'a, "b"', None, "]]>"],
        "code": ["abcde", "a", None, "bc"],
        "point": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
        "floats": [[1.5], [1.0, 2.0], [3.0], [0.5]],
        "shorts": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]],
    }
    columns = [
        TYPES[name][0]
        .named(name)
        .__class__(**{**TYPES[name][0].__dict__, "name": name, "unit": "deg", "ucd": "meta.code"})
        for name in cells
    ]
    arrays = [pa.array(values, TYPES[name][1]) for name, values in cells.items()]
    return pa.table(arrays, names=list(cells)), columns


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


@pytest.mark.req("FMT-9")
@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"fits"}))
def test_what_is_held_does_not_grow_with_the_result(name: str) -> None:
    # One batch, again and again: if a writer kept what it wrote, the sum of what it gives would
    # lag behind ever more.
    columns = [ResultColumn("a", "double"), ResultColumn("t", "char", "*")]
    random = np.random.default_rng(3)
    batch = pa.record_batch({"a": random.random(20_000), "t": ["some text"] * 20_000})

    def source() -> Iterator[pa.RecordBatch]:
        for _ in range(60):
            yield batch

    writer = BY_NAME[name].writer(describe(columns, batch.schema), Frame())
    sizes = [len(piece) for piece in pieces(source(), writer, 10**9)]
    silence = max(map(len, "".join("x" if size else "." for size in sizes).split("x")))
    assert silence <= 7
    assert max(sizes) < 10 << 20


@pytest.mark.req("FMT-9")
def test_wide_rows_are_written_a_few_at_a_time() -> None:
    wide = pa.record_batch({f"c{i}": np.zeros(20_000) for i in range(200)})
    columns = [ResultColumn(f"c{i}", "double") for i in range(200)]
    writer = BY_NAME["binary2"].writer(describe(columns, wide.schema), Frame())
    sizes = [len(piece) for piece in pieces([wide], writer, 10**9)]
    assert sum(sizes) > 40 << 20
    assert max(sizes) < 8 << 20


@pytest.mark.req("FMT-9")
def test_a_full_disk_is_told_when_the_rows_of_fits_find_no_room(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(100_000)})
    fields = describe([ResultColumn("a", "long")], table.schema)
    writer, rows = BY_NAME["fits"].writer(fields, Frame(folder=tmp_path)), Rows()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(ConnectionAbortedError):
            list(pieces(table.to_batches(max_chunksize=10_000), writer, 10**6, rows))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert rows.error is not None
    assert "no room to lay aside the rows" in rows.error.message


@pytest.mark.req("FMT-9")
def test_the_temporary_file_of_fits_goes_with_the_result(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2]})
    writer = BY_NAME["fits"].writer(
        describe([ResultColumn("a")], table.schema), Frame(folder=tmp_path)
    )
    list(pieces(table.to_batches(), writer, 10))
    assert writer._spool.closed  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())
