"""Random tables with a column of every type, written in a format and read back."""

from __future__ import annotations

import io
import math
import warnings

import numpy as np
import pyarrow as pa
from astropy.io.votable import parse
from hypothesis import strategies as st

from cerro_services.adql import ResultColumn
from cerro_services.formats import (
    FORMATS,
    Format,
    Frame,
    Input,
    Rows,
    Service,
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
