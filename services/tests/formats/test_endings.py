"""How a result ends: with all rows, cut at MAXREC, or by an error in its midst."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from pyarrow import ipc, parquet
from services.tests.formats.documents import BREAKING_OFF, BY_NAME, VOTABLES, read_votable, written

from cerro_services.adql import ResultColumn
from cerro_services.engine import EngineError
from cerro_services.formats import (
    Frame,
    Rows,
    describe,
    pieces,
)


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
