"""Random tables, uploaded in every serialisation, come back as they were."""

from __future__ import annotations

import base64
import struct
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc, parquet

from cerro_services.release.model import Column
from cerro_services.uploads import Upload, UploadLimits, read

TYPES: dict[str, tuple[str, pa.DataType, st.SearchStrategy[Any]]] = {
    "boolean": ("", pa.bool_(), st.booleans()),
    "unsignedByte": ("B", pa.uint8(), st.integers(0, 255)),
    "short": (">h", pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "int": (">i", pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (">q", pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (">f", pa.float32(), st.floats(width=32, allow_nan=False)),
    "double": (">d", pa.float64(), st.floats(allow_nan=False)),
    "unicodeChar": (
        "",
        pa.string(),
        # What XML can hold; blanks at the ends are kept as well.
        st.text(
            st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="￾￿"),
            min_size=1,
            max_size=8,
        ),
    ),
}
FELIS = {"unsignedByte": "byte", "unicodeChar": "unicode"}
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: len(name) < 40 and "￾" not in name and "￿" not in name
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], pa.Table]:
    """Give VOTable types and a table of them, with nulls."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=str.lower))
    kinds = [draw(st.sampled_from(sorted(TYPES))) for _ in names]
    count = draw(st.integers(0, 6))
    columns = []
    for kind in kinds:
        _, arrow, values = TYPES[kind]
        given_ = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        columns.append(pa.array(given_, arrow))
    return kinds, pa.table(columns, names=names)


def escaped(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text


def fields(kinds: list[str], table: pa.Table) -> str:
    return "".join(
        f'<FIELD name="{escaped(name)}" datatype="{kind}"'
        f"{' arraysize=' + chr(34) + '*' + chr(34) if kind == 'unicodeChar' else ''}/>"
        for name, kind in zip(table.column_names, kinds, strict=True)
    )


def votable(kinds: list[str], table: pa.Table, data: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.4"><RESOURCE><TABLE>'
    tail = "</DATA></TABLE></RESOURCE></VOTABLE>"
    return f"{head}{fields(kinds, table)}<DATA>{data}{tail}".encode()


def tabledata(kinds: list[str], table: pa.Table, *, odd: bool) -> bytes:
    """Write TABLEDATA, plainly or as only an XML parser understands it."""

    def cell(kind: str, value: object) -> str:
        if value is None:
            return "<TD/>"
        text = {True: "T", False: "F"}[value] if kind == "boolean" else str(value)
        return f"<TD>{escaped(text)}</TD>"

    rows = "".join(
        "<TR>" + "".join(cell(k, v) for k, v in zip(kinds, row.values(), strict=True)) + "</TR>\n"
        for row in table.to_pylist()
    )
    comment = "<!-- a comment -->" if odd else ""
    return votable(kinds, table, f"<TABLEDATA>\n{comment}{rows}</TABLEDATA>")


def binary2(kinds: list[str], table: pa.Table) -> bytes:
    stream = b""
    for row in table.to_pylist():
        bits = [value is None for value in row.values()]
        bits += [False] * (-len(bits) % 8)
        stream += bytes(
            sum(bit << (7 - i) for i, bit in enumerate(bits[start : start + 8]))
            for start in range(0, len(bits), 8)
        )
        for kind, value in zip(kinds, row.values(), strict=True):
            if kind == "boolean":
                stream += {True: b"T", False: b"F", None: b"?"}[value]
            elif kind == "unicodeChar":
                text = (value or "").encode("utf-16-be")
                stream += struct.pack(">I", len(text) // 2) + text
            else:
                stream += struct.pack(TYPES[kind][0], 0 if value is None else value)
    text = base64.b64encode(stream).decode()
    return votable(kinds, table, f'<BINARY2><STREAM encoding="base64">{text}</STREAM></BINARY2>')


def loaded(content: bytes, limits: UploadLimits) -> tuple[tuple[Column, ...], pa.Table]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        path.write_bytes(content)
        found = read(Upload("t", path), limits)
        if found.table is not None:
            return found.columns, found.table
        assert found.path is not None
        return found.columns, parquet.read_table(found.path)


@pytest.mark.req("UPL-1")
@settings(max_examples=150, deadline=None)
@given(tables())
def test_votable_comes_back_as_it_was(case: tuple[list[str], pa.Table]) -> None:
    kinds, table = case
    for content in (
        tabledata(kinds, table, odd=False),
        tabledata(kinds, table, odd=True),
        binary2(kinds, table),
    ):
        for limits in (UploadLimits(), UploadLimits(held=1)):
            columns, back = loaded(content, limits)
            assert back.column_names == table.column_names
            assert back.schema.types == table.schema.types
            assert back.to_pydict() == table.to_pydict()
            assert [c.datatype for c in columns] == [FELIS.get(k, k) for k in kinds]


@pytest.mark.req("UPL-1")
@settings(max_examples=60, deadline=None)
@given(tables())
def test_parquet_and_arrow_come_back_as_they_were(case: tuple[list[str], pa.Table]) -> None:
    _, table = case
    files = [pa.BufferOutputStream() for _ in range(2)]
    parquet.write_table(table, files[0])
    with ipc.new_file(files[1], table.schema) as writer:
        writer.write_table(table)
    for file in files:
        _, back = loaded(file.getvalue().to_pybytes(), UploadLimits())
        assert back.to_pydict() == table.to_pydict()
        assert back.schema.types == table.schema.types
