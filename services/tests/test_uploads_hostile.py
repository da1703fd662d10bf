"""Uploads that mean harm, or are broken: refused in words that name them, within bounds."""

from __future__ import annotations

import gzip
import io
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from cerro_services.uploads import (
    Upload,
    UploadError,
    UploadLimits,
    UploadTooLargeError,
    read,
)

SMALL = UploadLimits(total=2_000_000, rows=10_000, columns=100)
VOTABLE = (
    "<VOTABLE><RESOURCE><TABLE>{}<DATA><TABLEDATA>{}</TABLEDATA></DATA></TABLE></RESOURCE>"
    "</VOTABLE>"
)
COLUMN = '<FIELD name="a" datatype="int"/>'


def refused(tmp_path: Path, content: bytes, name: str = "t", limits: UploadLimits = SMALL) -> str:
    """Give the reason for which an upload is refused."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises((UploadError, UploadTooLargeError)) as caught:
        read(Upload("mine", path, filename=name), limits)
    assert caught.value.message.startswith("Upload mine: ")
    assert str(tmp_path) not in caught.value.message
    return caught.value.message


def parquet_of(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fail rather than take gigabytes."""
    process = psutil.Process()
    before = process.memory_info().vms
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (before + 1_500_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.req("UPL-4")
@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ('<!DOCTYPE V [<!ENTITY a "b">]>', "entity"),
        ('<!DOCTYPE V [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "entity"),
        (
            '<!DOCTYPE V [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>',
            "entity",
        ),
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str, reason: str) -> None:
    text = head + VOTABLE.format(COLUMN, "<TR><TD>&a;</TD></TR>")
    assert reason in refused(tmp_path, text.encode())


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (VOTABLE.format(COLUMN * 200, ""), "twice"),
        (VOTABLE.format("".join(COLUMN.replace('"a"', f'"a{i}"') for i in range(500)), ""),
         "500 columns"),
        (VOTABLE.format(COLUMN, "<TR><TD>1</TD><TD>2</TD></TR>"), "2 cells"),
        (VOTABLE.format(COLUMN, "<TR><TD>x</TD></TR>"), "no int"),
        (VOTABLE.format(COLUMN, "<TR><TD>99999999999</TD></TR>"), "no int"),
        (VOTABLE.format(COLUMN, "<TR><TD>1</TD>"), "damaged or cut short"),
        (VOTABLE.format(COLUMN, "<TR><TD>1</TD></TR>")[:-60], "damaged or cut short"),
        (VOTABLE.format('<FIELD name="a" datatype="floatComplex"/>', ""), "floatComplex"),
        (VOTABLE.format('<FIELD name="a" datatype="double" arraysize="9999999999"/>', ""),
         "values in a cell"),
        ("<html><body/></html>", "no VOTable"),
        (VOTABLE.format(COLUMN, "<TR><TD>1</TD></TR>" * 20_000), "more than 10,000 rows"),
    ],
)  # fmt: skip
def test_absurd_votables_are_refused(tmp_path: Path, body: str, reason: str) -> None:
    assert reason in refused(tmp_path, body.encode())


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
def test_binary_rows_that_claim_to_be_huge_are_refused(tmp_path: Path) -> None:
    text = (
        '<VOTABLE><RESOURCE><TABLE><FIELD name="a" datatype="double" arraysize="*"/><DATA><BINARY>'
        '<STREAM encoding="base64">fwAAAAAAAAAAAAAA</STREAM></BINARY></DATA></TABLE></RESOURCE>'
        "</VOTABLE>"
    )
    assert "values" in refused(tmp_path, text.encode())
    elsewhere = text.replace('encoding="base64"', 'href="file:///etc/passwd"')
    assert "not followed" in refused(tmp_path, elsewhere.encode())


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
def test_compressed_bombs_are_refused(tmp_path: Path) -> None:
    zeros = gzip.compress(b"a\n" + b"1\n" * 50_000_000, 9)
    assert len(zeros) < 200_000
    assert "unpacked" in refused(tmp_path, zeros, "t.csv.gz")
    twice = gzip.compress(gzip.compress(b"a\n1\n"))
    assert "twice" in refused(tmp_path, twice, "t.csv.gz")
    assert "archive" in refused(tmp_path, b"PK\x03\x04" + bytes(100))
    assert "damaged" in refused(tmp_path, gzip.compress(b"a\n1\n" * 1000)[:-20], "t.csv.gz")


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
def test_parquet_bombs_are_refused(tmp_path: Path) -> None:
    same = parquet_of(
        pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 9_000), ["x" * 1_000_000])}),
        compression="zstd",
    )
    assert len(same) < 100_000
    assert "unfolds" in refused(tmp_path, same)
    zeros = parquet_of(
        pa.table({"a": pa.array([bytes(100_000)] * 1000)}), compression="zstd", use_dictionary=False
    )
    assert "unfolds" in refused(tmp_path, zeros)
    many = parquet_of(pa.table({"a": pa.array([1] * 5_000_000)}))
    assert "5,000,000 rows" in refused(tmp_path, many)
    nested = parquet_of(
        pa.table({"a": pa.array([[1] * 3_000_000] * 3, pa.list_(pa.int8()))}), compression="zstd"
    )
    assert "values" in refused(tmp_path, nested)


@pytest.mark.req("UPL-4")
def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    good = parquet_of(pa.table({"a": list(range(1000)), "b": ["é"] * 1000}))
    for bad in (good[: len(good) // 2], good[:4] + bytes(200) + good[204:], b"PAR1" + bytes(50)):
        assert "damaged" in refused(tmp_path, bad)


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
def test_compressed_and_damaged_arrow_is_refused(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([0] * 1_000_000)})
    for opened in (ipc.new_file, ipc.new_stream):
        file = io.BytesIO()
        with opened(file, table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        assert "compressed" in refused(tmp_path, file.getvalue())
    file = io.BytesIO()
    with ipc.new_stream(file, table.schema) as writer:
        writer.write_table(pa.table({"a": pa.array(range(100))}))
    assert "damaged" in refused(tmp_path, file.getvalue()[:-300])
    text = io.BytesIO()
    with ipc.new_stream(text, pa.schema([("a", pa.string())])) as writer:
        writer.write_batch(
            pa.RecordBatch.from_arrays(
                [pa.Array.from_buffers(
                    pa.string(), 1, [None, pa.array([0, 8], pa.int32()).buffers()[1],
                                     pa.py_buffer(b"\xff\xfe bytes")]
                )], ["a"],
            )
        )  # fmt: skip
    assert "damaged" in refused(tmp_path, text.getvalue())


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"NAXIS1": 8, "NAXIS2": 10**15}, "rows"),
        ({"NAXIS1": 10**12, "NAXIS2": 1}, "cut short"),
        ({"NAXIS1": 8, "NAXIS2": 100}, "cut short"),
        ({"NAXIS1": -8, "NAXIS2": 1}, "cannot be"),
        ({"NAXIS1": 8, "NAXIS2": 1, "TFIELDS": 10**9}, "cannot be"),
        ({}, "does not end"),
    ],
)
def test_absurd_fits_is_refused(tmp_path: Path, cards: dict[str, int], reason: str) -> None:
    def header(*lines: str, end: bool = True) -> bytes:
        text = "".join(line.ljust(80) for line in (*lines, *(["END"] if end else [])))
        return text.ljust(-(-len(text) // 2880) * 2880).encode()

    primary = header("SIMPLE  =                    T", "BITPIX  =                    8",
                     "NAXIS   =                    0", end=bool(cards))  # fmt: skip
    told = {"BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "PCOUNT": 0, "GCOUNT": 1,
            "TFIELDS": 1} | cards  # fmt: skip
    table = header(
        "XTENSION= 'BINTABLE'",
        *(f"{name:8}= {value:20}" for name, value in told.items()),
        "TTYPE1  = 'a'", "TFORM1  = 'K'",
    )  # fmt: skip
    assert reason in refused(tmp_path, primary + (table if cards else b""))


@pytest.mark.req("UPL-4")
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (",".join(f"c{i}" for i in range(1_000_000)).encode() + b"\n", "bytes of names"),
        (",".join(f"c{i}" for i in range(200)).encode() + b"\n", "200 columns"),
        (b"#" * 10_000_000, "bytes of names"),
        (b"a,a\n1,2\n", "twice"),
        (b"a,A\n1,2\n", "tell apart"),
        (b"a,b\n1,2\n1,2,3\n", "3 values"),
        (b"a\n" + b"1\n" * 20_000, "more than 10,000 rows"),
        (b"a,b\n\xff\xfe,2\n", "UTF-8"),
        (bytes(1000), "no format"),
        (b"# %ECSV 1.0\n# ---\n# datatype: [" + b"[" * 500 + b"\na\n1\n", "ECSV"),
        (b"# %ECSV 1.0\n# ---\n# a: &a [x,x]\n# datatype: *a\na\n1\n", "ECSV"),
    ],
)
def test_absurd_text_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refused(tmp_path, content, "t.csv")
