"""FITS: NULLs, long texts, its header, and the file that its rows wait in."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import Table
from services.tests.formats.documents import BY_NAME, written

from cerro_services.adql import ResultColumn
from cerro_services.formats import (
    Frame,
    Rows,
    describe,
    pieces,
)


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
