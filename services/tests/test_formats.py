"""Results as documents: what is written is read back the same, and truncation is told."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from cerro_services.adql import ResultColumn
from cerro_services.engine import EngineError
from cerro_services.formats import FORMATS, Format, FormatError, Frame, Rows, choose, describe, pieces

BY_NAME = {form.name: form for form in FORMATS}
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Cn"]), max_size=12)
TYPES: dict[str, tuple[ResultColumn, pa.DataType, st.SearchStrategy[object]]] = {
    "boolean": (ResultColumn("b", "boolean"), pa.bool_(), st.booleans()),
    "byte": (ResultColumn("y", "unsignedByte"), pa.uint8(), st.integers(0, 255)),
    "short": (ResultColumn("h", "short"), pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "int": (ResultColumn("i", "int"), pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (ResultColumn("l", "long"), pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (ResultColumn("f", "float"), pa.float32(), st.floats(width=32)),
    "double": (ResultColumn("d", "double"), pa.float64(), st.floats()),
    "unicode": (ResultColumn("u", "unicodeChar", "*"), pa.string(), TEXT),
    "char": (
        ResultColumn("c", "char", "*"),
        pa.string(),
        st.text("aZ09 <>&'\",", min_size=1, max_size=9),
    ),
    "point": (
        ResultColumn("p", "double", "2", xtype="point"),
        pa.list_(pa.float64()),
        st.lists(st.floats(allow_nan=False), min_size=2, max_size=2),
    ),
}


@st.composite
def tables(draw: st.DrawFn, names: tuple[str, ...]) -> tuple[list[ResultColumn], pa.Table]:
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=9))
    rows = draw(st.integers(1, 9))
    columns, arrays = [], []
    for i, name in enumerate(chosen):
        column, kind, values = TYPES[name]
        columns.append(column.named(f"{column.name}{i}"))
        cells = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        arrays.append(pa.array(cells, kind))
    return columns, pa.table(arrays, names=[c.name for c in columns])


def written(
    form: Format, columns: list[ResultColumn], table: pa.Table, maxrec: int = 1000
) -> tuple[bytes, Rows]:
    rows = Rows()
    writer = form.writer(describe(columns, table.schema), Frame((("QUERY", "SELECT <a> & 'b'"),)))
    # Batches of three rows, so that what is carried from one to the next is tried too.
    document = b"".join(pieces(table.to_batches(max_chunksize=3), writer, maxrec, rows))
    return document, rows


def same(found: object, expected: object) -> bool:
    if isinstance(expected, list):
        return all(map(same, found, expected))  # type: ignore[call-overload]
    if isinstance(expected, float):
        value = float(found)  # type: ignore[arg-type]
        return value == expected or (math.isnan(value) and math.isnan(expected))
    return bool(found == expected)


@pytest.mark.req("TAP-4")
@pytest.mark.parametrize("name", ["binary2", "tabledata"])
@settings(max_examples=50, deadline=None)
@given(data=tables(tuple(TYPES)))
def test_a_votable_gives_back_every_value(
    name: str, data: tuple[list[ResultColumn], pa.Table]
) -> None:
    columns, table = data
    document, _ = written(BY_NAME[name], columns, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = parse(io.BytesIO(document)).get_first_table().array
    assert len(array) == len(table)
    for column in columns:
        text = column.datatype in {"char", "unicodeChar"}
        for found, expected in zip(array[column.name], table[column.name].to_pylist(), strict=True):
            if expected is None:
                unset = np.ma.is_masked(found) or (text and found == "")
                assert unset or np.all(np.isnan(np.ma.filled(found)))
            elif text and name == "tabledata":
                # White space around a cell of TABLEDATA is no part of it for every reader.
                assert str(found).strip() == expected.strip()
            else:
                assert same(found if not text else str(found), expected)


@pytest.mark.req("TAP-4")
@settings(max_examples=40, deadline=None)
@given(data=tables(("boolean", "short", "int", "long", "float", "double", "char", "unicode")))
def test_parquet_gives_back_every_value_and_its_description(
    data: tuple[list[ResultColumn], pa.Table],
) -> None:
    columns, table = data
    document, _ = written(BY_NAME["parquet"], columns, table)
    read = parquet.read_table(io.BytesIO(document))
    for name in table.column_names:
        expected = table[name]
        if pa.types.is_string(expected.type):
            expected = expected.fill_null("")
        assert all(
            map(same, map(_plain, read[name].to_pylist()), map(_plain, expected.to_pylist()))
        )
    metadata = parquet.read_metadata(io.BytesIO(document)).metadata
    content = metadata[b"IVOA.VOTable-Parquet.content"]
    fields = parse(io.BytesIO(content)).get_first_table().fields
    assert [field.name for field in fields] == table.column_names
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"


def _plain(value: object) -> object:
    return "none" if value is None else value


@pytest.mark.req("TAP-4")
@settings(max_examples=40, deadline=None)
@given(data=tables(("boolean", "int", "long", "double", "char")))
def test_csv_gives_back_every_value(data: tuple[list[ResultColumn], pa.Table]) -> None:
    columns, table = data
    document, _ = written(BY_NAME["csv"], columns, table)
    options = csv.ConvertOptions(
        column_types=table.schema, strings_can_be_null=True, null_values=[""],
    )  # fmt: skip
    parsing = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
    finite = document.replace(b"+Inf", b"inf").replace(b"-Inf", b"-inf").replace(b"NaN", b"nan")
    read = csv.read_csv(io.BytesIO(finite), convert_options=options, parse_options=parsing)
    assert read.column_names == table.column_names
    for name in table.column_names:
        assert all(
            map(same, map(_plain, read[name].to_pylist()), map(_plain, table[name].to_pylist()))
        )


@pytest.mark.req("TAP-4")
def test_astropy_reads_units_and_descriptions_from_parquet() -> None:
    columns = [ResultColumn("flux", "float", unit="nJy", ucd="phot.flux", description="a < b & c")]
    columns.append(ResultColumn("kind", "char", "*"))
    table = pa.table({"flux": pa.array([1.5, 2.5], pa.float32()), "kind": ["star", None]})
    document, _ = written(BY_NAME["parquet"], columns, table)
    read = Table.read(io.BytesIO(document), format="parquet.votable")
    assert str(read["flux"].unit) == "nJy"
    assert read["flux"].description == "a < b & c"
    assert list(read["kind"]) == ["star", ""]


@pytest.mark.req("TAP-4")
def test_text_that_is_not_ascii_in_a_column_of_ascii_spoils_no_table() -> None:
    table = pa.table({"c": ["é日本", "plain"], "w": ["é", "x"]})
    columns = [ResultColumn("c", "char", "*"), ResultColumn("w", "char")]
    document, _ = written(BY_NAME["binary2"], columns, table)
    array = parse(io.BytesIO(document)).get_first_table().array
    assert [tuple(row) for row in array] == [("???", "?"), ("plain", "x")]


@pytest.mark.req("TAP-4")
def test_times_are_written_as_dali_has_them() -> None:
    times = pa.table({"t": pa.array([0, 1_500_000, None], pa.timestamp("us"))})
    document, _ = written(BY_NAME["csv"], [ResultColumn("t")], times)
    assert document == b"t\r\n1970-01-01T00:00:00\r\n1970-01-01T00:00:01.500000\r\n\r\n"


@pytest.mark.req("TAP-7")
@pytest.mark.parametrize("name", list(BY_NAME))
@pytest.mark.parametrize(
    ("rows", "maxrec", "overflow"), [(9, 9, False), (10, 9, True), (5, 0, True)]
)
def test_no_more_rows_than_maxrec_and_overflow_is_known(
    name: str, rows: int, maxrec: int, overflow: bool
) -> None:
    table = pa.table({"a": pa.array(range(rows), pa.int32())})
    document, told = written(BY_NAME[name], [ResultColumn("a", "int")], table, maxrec)
    assert told.count == min(rows, maxrec)
    assert told.overflow is overflow
    if name in {"binary2", "tabledata"}:
        after = document.split(b"</TABLE>")[1]
        assert (b'value="OVERFLOW"' in after) is overflow
        assert len(parse(io.BytesIO(document)).get_first_table().array) == told.count
    elif name == "parquet":
        metadata = parquet.read_metadata(io.BytesIO(document)).metadata
        assert (b"OVERFLOW" in metadata[b"IVOA.VOTable-Parquet.content"]) is overflow


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize("name", ["binary2", "tabledata"])
def test_an_error_after_the_first_rows_is_told_in_the_same_document(name: str) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": pa.array([1, 2], pa.int32())})
        raise EngineError("The disk <broke> & fell.")

    schema = pa.schema([("a", pa.int32())])
    writer = BY_NAME[name].writer(describe([ResultColumn("a", "int")], schema), Frame())
    document = b"".join(pieces(failing(), writer, 10))
    resource = parse(io.BytesIO(document)).resources[0]
    assert len(resource.tables[0].array) == 2
    assert [(i.value, i.content) for i in resource.infos][-1] == (
        "ERROR",
        "The disk <broke> & fell.",
    )


@pytest.mark.req("TAP-8")
@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_formats_that_cannot_tell_an_error_break_off(name: str) -> None:
    schema = pa.schema([("a", pa.int32())])
    writer = BY_NAME[name].writer(describe([ResultColumn("a", "int")], schema), Frame())
    with pytest.raises(ConnectionAbortedError):
        writer.end(error="gone")


@pytest.mark.req("TAP-4")
@pytest.mark.parametrize(
    ("requested", "accept", "name"),
    [
        (None, None, "binary2"),
        (None, "*/*", "binary2"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "binary2"),
        (None, "text/csv", "csv"),
        ("votable", None, "binary2"),
        ("VOTable/TD", None, "tabledata"),
        ("application/x-votable+xml;serialization=TABLEDATA", None, "tabledata"),
        ("application/x-votable+xml; serialization=binary2", None, "binary2"),
        ("text/xml", None, "binary2"),
        ("text/csv;header=present", None, "csv"),
        ("csv", "application/x-votable+xml", "csv"),
        ("application/vnd.apache.parquet", None, "parquet"),
        ("application/*", None, "binary2"),
    ],
)
def test_a_format_has_the_names_that_clients_use(
    requested: str | None, accept: str | None, name: str
) -> None:
    assert choose(requested, accept).name == name


@pytest.mark.req("TAP-4")
@pytest.mark.parametrize("requested", ["xlsx", "application/x-votable+xml;serialization=fits"])
def test_a_format_that_is_not_offered_is_refused_with_those_that_are(requested: str) -> None:
    with pytest.raises(FormatError, match="Ask for votable, binary2, tabledata, csv, parquet"):
        choose(requested)
