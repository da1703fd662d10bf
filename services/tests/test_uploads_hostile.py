"""Uploads that mean harm, or are broken: refused in words that name them, within bounds."""

from __future__ import annotations

import asyncio
import gzip
import io
import resource
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from cerro_services.config import Settings
from cerro_services.parameters import Parameters, Part
from cerro_services.uploads import (
    Upload,
    UploadError,
    UploadLimits,
    UploadTooLargeError,
    read,
    receive,
)
from cerro_services.uploads.fetch import fetch, is_public

from .serving import Served, free_port, running

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


# ---- by URL -----------------------------------------------------------------------------------


@pytest.mark.req("UPL-3")
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("192.168.0.1", False), ("172.16.0.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.0", False),  # noqa: S104
         ("224.0.0.1", False), ("255.255.255.255", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False),
        ("::127.0.0.1", False),
    ],
)  # fmt: skip
def test_inner_addresses_are_known_in_every_dress(address: str, public: bool) -> None:
    assert is_public(address) is public


class _Origin(BaseHTTPRequestHandler):
    """Serves a table, redirects, and more than one asked for."""

    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers.items()))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        body = b"a,b\n1,x\n" if self.path == "/t.csv" else b"x" * 3_000_000
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "text/csv")
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def origin() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Serve on loopback; give the port, and the headers that were sent."""
    seen: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Origin", (_Origin,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port, seen
    server.shutdown()
    server.server_close()


@pytest.mark.req("UPL-3")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}/t.csv", "http://localhost:{}/t.csv", "http://[::1]:{}/t.csv",
        "http://0.0.0.0:{}/t.csv", "http://2130706433:{}/t.csv", "http://0x7f.1:{}/t.csv",
        "http://127.1:{}/t.csv", "http://017700000001:{}/t.csv",
        "http://[::ffff:127.0.0.1]:{}/t.csv", "http://169.254.169.254/latest/meta-data",
        "http://user:word@127.0.0.1:{}/t.csv", "file:///etc/passwd", "gopher://127.0.0.1:{}/",
        "http://127.0.0.1:99999/", "http:///t", "//127.0.0.1/t", "http://\x00/",
    ],
)  # fmt: skip
def test_nothing_is_fetched_from_within(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]], url: str
) -> None:
    port, seen = origin
    before = len(seen)
    with pytest.raises(UploadError):
        asyncio.run(fetch("t", url.format(port), tmp_path / "t", UploadLimits(), 1000))
    assert len(seen) == before


@pytest.mark.req("UPL-3")
def test_what_the_operator_lists_is_fetched_and_nothing_around_it(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]]
) -> None:
    port, seen = origin
    limits = UploadLimits(hosts=(f"localhost:{port}",))

    def got(path: str, most: int = 10_000) -> Upload:
        url = f"http://localhost:{port}{path}"
        return asyncio.run(fetch("t", url, tmp_path / "t", limits, most))

    upload = got("/t.csv")
    assert upload.path.read_bytes() == b"a,b\n1,x\n"
    assert upload.filename == "t.csv"
    assert not {"authorization", "cookie", "referer"} & {name.lower() for name in seen[-1]}
    assert seen[-1]["Host"] == f"localhost:{port}"
    assert got(f"/to/http://localhost:{port}/t.csv").path.read_bytes() == b"a,b\n1,x\n"
    for away in (f"http://127.0.0.1:{port}/t.csv", "file:///etc/passwd", f"/to//to/{'/to/' * 9}x"):
        with pytest.raises(UploadError):
            got(f"/to/{away}")
    with pytest.raises(UploadError, match="status 404"):
        got("/none")
    for endless in ("/long", "/endless"):
        with pytest.raises(UploadTooLargeError):
            got(endless)


@pytest.mark.req("UPL-3")
def test_a_host_that_answers_differently_the_second_time_gains_nothing(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # DNS rebinding: public while it is checked, loopback when the connection is made.
    port, seen = origin
    asked: list[str] = []
    original = socket.getaddrinfo

    def rebinding(host: str, *args: object, **more: object) -> object:
        if host != "rebinding.example":
            return original(host, *args, **more)
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    before = len(seen)
    limits = UploadLimits(hosts=("*",), seconds=1.0)
    with pytest.raises(UploadError):
        asyncio.run(
            fetch("t", f"http://rebinding.example:{port}/t.csv", tmp_path / "t", limits, 1000)
        )
    assert len(seen) == before
    assert len(asked) == 1


# ---- too much ---------------------------------------------------------------------------------


@pytest.mark.req("UPL-5")
def test_uploads_together_are_bounded(tmp_path: Path) -> None:
    parts = []
    for name in ("a", "b"):
        path = tmp_path / name
        path.write_bytes(b"x" * 600)
        parts.append(Part(name, path, 600))
    parameters = Parameters({"UPLOAD": ["a,param:a;b,param:b"]}, tuple(parts))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UploadTooLargeError, match="more than 1,000 bytes"):
        asyncio.run(receive(parameters, tmp_path / "folder", UploadLimits(total=1000)))


@pytest.fixture(scope="module")
def narrow(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Serve with little room for uploads."""
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("narrow"),
        releases=served.settings.releases,
        external_url=f"http://127.0.0.1:{port}",
        memory="200MB",
        threads=1,
        quotas={"public": {"upload_bytes": 3_000_000}},
    )
    with (
        running(settings, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}/api/tap/", timeout=60) as client,
    ):
        yield client
    assert settings.uploads is not None
    assert list(settings.uploads.iterdir()) == []


@pytest.mark.req("UPL-5")
@pytest.mark.parametrize("told", [True, False])
def test_an_upload_beyond_the_limit_is_refused_before_it_is_kept(
    narrow: httpx.Client, told: bool
) -> None:
    boundary = "frontier"
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=UPLOAD\r\n\r\nt,param:t\r\n"
        f"--{boundary}\r\nContent-Disposition: form-data; name=QUERY\r\n\r\n"
        f"SELECT * FROM TAP_UPLOAD.t\r\n--{boundary}\r\n"
        'Content-Disposition: form-data; name="t"; filename="t.csv"\r\n\r\na\n'
    ).encode()
    pieces, piece = 4000, b"1\n" * 32_768
    size = len(head) + pieces * len(piece)

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(pieces):
            yield piece

    process = psutil.Process()
    before = process.memory_info().rss
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if told:
        headers["Content-Length"] = str(size)
    answer = narrow.post("sync", content=body(), headers=headers)
    assert answer.status_code == 413
    assert "at most" in answer.text or "all that you may send" in answer.text
    assert process.memory_info().rss - before < 60_000_000


@pytest.mark.req("UPL-5")
def test_a_form_that_is_cut_short_or_no_form_is_refused(narrow: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\nabc',
        b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
        b"nothing of the kind",
        b"--x\r\n" + b"h: v\r\n" * 50 + b"\r\n\r\n--x--",
    ):
        answer = narrow.post("sync", content=body, headers=headers)
        assert answer.status_code == 400
        assert "form" in answer.text.lower()
    no_boundary = narrow.post("sync", content=b"", headers={"Content-Type": "multipart/form-data"})
    assert no_boundary.status_code == 400
