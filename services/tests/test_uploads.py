"""Tables that come with a query: forms over HTTP, pyvo and STILTS, every format there and back."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from astropy.io.votable import parse
from astropy.table import MaskedColumn, Table
from pyarrow import ipc, parquet

from .serving import Served

TAPLINT = """<?xml version="1.0"?>
<VOTABLE version="1.2" xmlns="http://www.ivoa.net/xml/VOTable/v1.2"><RESOURCE><TABLE>
<FIELD name="short" datatype="short"><VALUES null="-99"/></FIELD>
<FIELD name="int" datatype="int" unit="m"><VALUES null="-99"/></FIELD>
<FIELD name="long" datatype="long" ucd="meta.id"><VALUES null="-99"/></FIELD>
<FIELD name="float" datatype="float"/><FIELD name="double" datatype="double"/>
<FIELD name="char" datatype="char"/><FIELD name="string" datatype="char" arraysize="*"/>
<FIELD name="timestamp" datatype="char" arraysize="*" xtype="timestamp"/>
<DATA><TABLEDATA>
<TR><TD>1</TD><TD>2</TD><TD>9223372036854775807</TD><TD>0.1</TD><TD>1e-300</TD>
<TD>x</TD><TD>a &lt;&amp; b</TD><TD>2012-01-01T12:00:00.5</TD></TR>
<TR><TD>-99</TD><TD>-99</TD><TD>-99</TD><TD>NaN</TD><TD/><TD/><TD/><TD/></TR>
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.tap + "/", timeout=60) as made:
        yield made


def send(
    client: httpx.Client, content: bytes, name: str = "t", form: str = "binary2", **data: str
) -> httpx.Response:
    """Ask for all of an upload."""
    told = {"QUERY": "SELECT * FROM TAP_UPLOAD.t", "UPLOAD": "t,param:t", "RESPONSEFORMAT": form}
    return client.post("sync", data=told | data, files={"t": (name, content)})


def table_of(answer: httpx.Response) -> Table:
    assert answer.status_code == 200, answer.text
    return parse(io.BytesIO(answer.content)).get_first_table().to_table()


def sample() -> Table:
    """Give a table with units, descriptions and gaps."""
    table = Table(
        {
            "id": np.array([1, -(2**31), 2**31 - 1], "i4"),
            "big": MaskedColumn([2**63 - 1, 5, -(2**63)], mask=[False, True, False]),
            "Ra": [10.5, 200.25, 0.1 + 0.2],
            "dec": np.array([-3.0, 45.0, 1e-5]),
            "mag": MaskedColumn(np.array([1.5, 2.5, 3.5], "f4"), mask=[True, False, False]),
            "word": ["one", "two & <three>", "four"],
            "good": [True, False, True],
            "spectrum": np.arange(6.0).reshape(3, 2),
        }
    )
    table["Ra"].unit = table["dec"].unit = "deg"
    table["mag"].description = "How bright it is"
    return table


def same(given: Table, back: Table) -> None:
    """Compare values, gaps and types."""
    assert back.colnames == given.colnames
    for name in given.colnames:
        one, other = given[name], back[name]
        if one.ndim > 1:
            assert np.array_equal(np.asarray(one), np.asarray(other)), name
        else:
            assert [*map(str, one)] == [*map(str, other)], name
        if one.dtype.kind in "iufb":
            assert other.dtype.newbyteorder("=") == one.dtype, name


@pytest.mark.req("UPL-1")
@pytest.mark.parametrize("serialization", ["tabledata", "binary", "binary2"])
@pytest.mark.parametrize("packed", [False, True])
def test_votable_comes_back_the_same(
    client: httpx.Client, serialization: str, *, packed: bool
) -> None:
    given = sample()
    if serialization == "binary":
        # It has no way to say that there is no whole number, unless one stands for that.
        given.remove_column("big")
    file = io.BytesIO()
    given.write(file, format="votable", tabledata_format=serialization)
    content = gzip.compress(file.getvalue()) if packed else file.getvalue()
    for form in ("tabledata", "binary2"):
        back = table_of(send(client, content, form=form))
        same(given, back)
        assert str(back["Ra"].unit) == "deg"
        assert back["mag"].description == "How bright it is"


@pytest.mark.req("UPL-1")
@pytest.mark.parametrize("form", ["tabledata", "binary2"])
def test_types_units_and_nulls_stay_what_they_are(client: httpx.Client, form: str) -> None:
    answer = send(client, TAPLINT.encode(), form=form)
    assert answer.status_code == 200, answer.text
    found = parse(io.BytesIO(answer.content)).get_first_table()
    given = parse(io.BytesIO(TAPLINT.encode())).get_first_table()
    for one, other in zip(given.fields, found.fields, strict=True):
        assert (one.name, one.datatype, one.arraysize, one.xtype, one.unit, one.ucd) == (
            other.name, other.datatype, other.arraysize, other.xtype, other.unit, other.ucd,
        )  # fmt: skip
    first, second = found.array
    assert list(first)[:3] == [1, 2, 2**63 - 1]
    assert str(first["string"]) == "a <& b"
    assert str(first["timestamp"]) == "2012-01-01T12:00:00.5"
    assert all(second.mask[name] for name in ("short", "int", "long"))


@pytest.mark.req("UPL-1")
def test_text_is_read_for_what_it_holds(client: httpx.Client) -> None:
    text = (
        "n,x,flag,when,name,code\n1,1.5,true,2020-01-01T00:00:00,a,007\n,,,,,\n"
        "-3,NaN,False,2021-06-01T12:30:00,é,12\n"
    )
    for content, name in (
        (text, "t.csv"), (text.replace(",", "\t"), "t.tsv"), ("﻿" + text, "t.csv"),
    ):  # fmt: skip
        answer = send(client, content.encode(), name)
        assert answer.status_code == 200, answer.text
        found = parse(io.BytesIO(answer.content)).get_first_table()
        assert [(f.datatype, f.xtype) for f in found.fields] == [
            ("long", None), ("double", None), ("boolean", None), ("char", "timestamp"),
            ("unicodeChar", None), ("char", None),
        ]  # fmt: skip
        assert str(found.array["code"][0]) == "007"


@pytest.mark.req("UPL-1")
def test_parquet_and_arrow_come_back_the_same(client: httpx.Client) -> None:
    table = pa.table(
        {
            "i8": pa.array([-128, None], pa.int8()),
            "u2": pa.array([65535, 1], pa.uint16()),
            "u4": pa.array([2**32 - 1, 1], pa.uint32()),
            "text": pa.array(["é日本", None]),
            "dict": pa.array(["a", "b"]).dictionary_encode(),
            "list": pa.array([[1.0, 2.0], []], pa.list_(pa.float64())),
            "fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
            "when": pa.array([0, 1_500_000], pa.timestamp("us")),
            "flag": pa.array([True, None]),
        }
    )
    files = {name: io.BytesIO() for name in ("parquet", "file", "stream")}
    parquet.write_table(table, files["parquet"])
    with ipc.new_file(files["file"], table.schema) as writer:
        writer.write_table(table)
    with ipc.new_stream(files["stream"], table.schema) as writer:
        writer.write_table(table)
    for file in files.values():
        answer = send(client, file.getvalue(), form="parquet")
        assert answer.status_code == 200, answer.text
        back = parquet.read_table(io.BytesIO(answer.content))
        assert back.column_names == table.column_names
        expected = table.set_column(
            7, "when", pa.array(["1970-01-01T00:00:00", "1970-01-01T00:00:01.500000"])
        )
        assert back.to_pylist() == expected.to_pylist()


@pytest.mark.req("UPL-1")
@pytest.mark.parametrize("form", ["fits", "ascii.ecsv"])
def test_fits_and_ecsv_come_back_the_same(client: httpx.Client, form: str, tmp_path: Path) -> None:
    given = sample()
    if form != "fits":
        given.remove_column("spectrum")
    given.remove_columns(["big", "mag"])
    path = tmp_path / "given"
    given.write(path, format=form)
    back = table_of(send(client, path.read_bytes()))
    same(given, back)
    assert str(back["Ra"].unit) == "deg"


@pytest.mark.req("UPL-1")
@pytest.mark.parametrize(
    "form", ["binary2", "tabledata", "binary", "parquet", "fits", "csv", "tsv", "arrow"]
)
def test_a_result_can_be_uploaded_again(client: httpx.Client, form: str) -> None:
    query = "SELECT TOP 50 objectId, ra, dec, flux, n, kind FROM sky.Object ORDER BY objectId"
    first = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": form})
    joined = send(
        client,
        first.content,
        f"result.{form}",
        form="csv",
        QUERY="SELECT COUNT(*) FROM TAP_UPLOAD.t AS t JOIN sky.Object AS o "
        "ON t.objectId = o.objectId WHERE t.ra = o.ra AND t.dec = o.dec",
    )
    assert joined.text.split() == ["count", "50"], joined.text


@pytest.mark.req("UPL-2")
def test_pyvo_uploads_and_joins_with_the_sky(served: Served, rows: dict[str, pa.Table]) -> None:
    objects = rows["Object"].slice(0, 200)
    stars = Table(
        {
            "number": np.arange(200),
            "ra": objects["ra"].to_numpy(),
            "dec": objects["dec"].to_numpy(),
        }
    )
    found = pyvo.dal.TAPService(served.tap).run_sync(
        "SELECT s.number, o.objectId FROM TAP_UPLOAD.stars AS s JOIN sky.Object AS o "
        "ON 1 = CONTAINS(POINT('ICRS', o.ra, o.dec), CIRCLE('ICRS', s.ra, s.dec, 0.000001))",
        uploads={"stars": stars},
    )
    pairs = {(int(row["number"]), int(row["objectId"])) for row in found}
    assert pairs >= {(i, i + 2**60) for i in range(200)}


@pytest.mark.req("UPL-2")
def test_an_empty_table_is_a_table(served: Served) -> None:
    nothing = Table({"number": np.array([], int), "name": np.array([], "U3")})
    found = pyvo.dal.TAPService(served.tap).run_sync(
        "SELECT * FROM TAP_UPLOAD.nothing", uploads={"nothing": nothing}
    )
    assert (len(found), list(found.fieldnames)) == (0, ["number", "name"])


@pytest.mark.req("UPL-2")
def test_several_tables_of_any_name(client: httpx.Client) -> None:
    answer = client.post(
        "sync",
        data={
            "QUERY": 'SELECT a."my id", "select"."from" FROM TAP_UPLOAD."two words" AS a '
            'JOIN TAP_UPLOAD."select" ON a."my id" = "select".id',
            "UPLOAD": ["two words,param:first", "select,param:second"],
            "RESPONSEFORMAT": "csv",
        },
        files={
            "first": ("a.csv", b"my id,x'); DROP\n1,2\n"),
            "second": ("b.csv", b"id,from\n1,here\n"),
        },
    )
    assert answer.text.split("\r\n")[1] == "1,here", answer.text


@pytest.mark.req("UPL-2")
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_stilts_uploads(served: Served, tmp_path: Path) -> None:
    given, found = tmp_path / "given.csv", tmp_path / "found.csv"
    given.write_text("a,b\n1,x\n2,y\n")
    subprocess.run(
        ["stilts", "tapquery", f"tapurl={served.tap}", "nupload=1", f"upload1={given}",
         "ufmt1=csv", "upname1=mine", "sync=true",
         "adql=SELECT a, b FROM TAP_UPLOAD.mine ORDER BY a DESC",
         f"out={found}", "ofmt=csv"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert found.read_text().split() == ["a,b", "2,y", "1,x"]


@pytest.mark.req("UPL-6")
def test_an_upload_is_gone_after_its_query(client: httpx.Client, served: Served) -> None:
    assert send(client, b"a\n1\n", "t.csv").status_code == 200
    again = client.post("sync", data={"QUERY": "SELECT * FROM TAP_UPLOAD.t"})
    assert again.status_code == 400
    assert "There is no table" in again.text
    assert served.settings.uploads is not None
    assert list(served.settings.uploads.iterdir()) == []


@pytest.mark.req("UPL-6")
@pytest.mark.parametrize(
    "name", ["a'; DROP TABLE x; --", 'a"b', "read_parquet('/etc/passwd')", "a\\", "é`$(id)"]
)
def test_sql_in_names_is_but_a_name(client: httpx.Client, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    file = io.BytesIO()
    parquet.write_table(pa.table({name: [1]}), file)
    answer = client.post(
        "sync",
        data={
            "QUERY": f"SELECT {quoted} AS a FROM TAP_UPLOAD.{quoted}",
            "UPLOAD": f"{name},param:t" if ";" not in name else "t,param:t",
            "RESPONSEFORMAT": "csv",
        },
        files={"t": ("t.parquet", file.getvalue())},
    )
    if ";" in name:
        # A semicolon ends the name of a table in UPLOAD; that of a column may have it.
        assert "There is no table" in answer.text
        answer = send(client, file.getvalue(), form="csv", QUERY=f"SELECT {quoted} AS a FROM t")
    assert answer.text.split("\r\n")[:2] == ["a", "1"], answer.text


@pytest.mark.req("UPL-8")
@pytest.mark.parametrize(
    ("upload", "reason"),
    [
        ("t", "names no table and place"),
        ("t,param:other", "no part 'other'"),
        ("t,ftp://example.org/t", "cannot be fetched"),
        ("t,file:///etc/passwd", "cannot be fetched"),
        ("t,vos://example.org/t", "cannot be fetched"),
        ("t,param:t;T,param:u", "two tables"),
        (",param:t", "names no table"),
        ("x" * 200 + ",param:t", "1 to 128"),
        (";".join(f"t{i},param:t" for i in range(30)), "at most 16"),
    ],
)
def test_upload_written_wrong_is_explained(client: httpx.Client, upload: str, reason: str) -> None:
    answer = send(client, b"a\n1\n", "t.csv", UPLOAD=upload)
    assert answer.status_code == 400
    assert reason in answer.text


@pytest.mark.req("UPL-8")
def test_one_part_may_be_two_tables(client: httpx.Client) -> None:
    query = "SELECT COUNT(*) FROM TAP_UPLOAD.a CROSS JOIN TAP_UPLOAD.b"
    answer = send(client, b"a\n1\n2\n", "t.csv", "csv", UPLOAD="a,param:t;b,param:t", QUERY=query)
    assert answer.text.split()[1] == "4"


@pytest.mark.req("UPL-7")
def test_a_large_upload_is_queried_like_a_small_one(
    client: httpx.Client, rows: dict[str, pa.Table]
) -> None:
    objects = rows["Object"]
    repeated = pa.concat_tables([objects.select(["objectId", "ra", "dec", "kind"])] * 5)
    file = io.BytesIO()
    parquet.write_table(repeated, file)
    query = (
        "SELECT COUNT(*) FROM TAP_UPLOAD.t AS t JOIN sky.Object AS o ON t.objectId = o.objectId "
        "WHERE t.ra = o.ra AND o.n = 3"
    )
    answer = send(client, file.getvalue(), "t.parquet", "csv", QUERY=query)
    expected = 5 * sum(value == 3 for value in objects["n"].to_pylist())
    assert answer.text.split()[1] == str(expected), answer.text
