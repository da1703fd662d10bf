"""The services in a process of their own, and what goes wrong with machines, disks and clients."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from services.tests.faults.processes import Serving
from services.tests.serving import Served, working
from services.tests.uws.client import Client
from tests.support import disks
from tests.support.waiting import eventually

from cerro_services.engine import DuckDBEngine, Limits

LONG = "SELECT a.objectId, a.ra, b.kind FROM sky.Object AS a, sky.Object AS b"
"""Has 900 million rows."""
ENDLESS = (
    "SELECT COUNT(*) AS n FROM sky.Object AS a, sky.Object AS b, sky.Object AS c, sky.Object AS d "
    "WHERE a.ra + b.ra <> c.dec + d.dec"
)
DISK = 4 << 20


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder on a small disk of its own, where that can be had."""
    with disks.small_disk(tmp_path_factory.mktemp("uploads"), DISK) as folder:
        yield folder


@pytest.fixture(scope="module")
def serving(
    served: Served, small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Serve a copy of the releases that may be damaged."""
    home = tmp_path_factory.mktemp("served")
    releases = home / "releases"
    shutil.copytree(served.settings.releases, releases, symlinks=True)
    alone = served.beside(
        home,
        releases=releases,
        job_memory="500MB",
        job_processes=1,
        threads=2,
        workers=1,
        uploads=small_disk,
    )
    with Serving(alone.settings) as made:
        yield made


def asked(serving: Serving, query: str, **more: str) -> httpx.Response:
    form = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": "csv", **more}
    return httpx.post(f"{serving.tap}/sync", data=form, timeout=60)


def answers(serving: Serving) -> bool:
    answer = asked(serving, "SELECT COUNT(*) AS n FROM sky.Visit")
    return answer.status_code == 200 and answer.text.split() == ["n", "5"]


# ---- killed ------------------------------------------------------------------------------------


@pytest.mark.req("FLT-1")
@pytest.mark.parametrize("form", ["csv"])
def test_a_result_that_was_broken_off_is_not_taken_for_whole(serving: Serving, form: str) -> None:
    parameters = {"QUERY": LONG, "RESPONSEFORMAT": form, "MAXREC": "20000000"}
    with httpx.stream("POST", f"{serving.tap}/sync", data=parameters, timeout=60) as answer:
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        pieces = answer.iter_raw()
        assert next(pieces)
        serving.kill()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            for _ in pieces:
                pass
    serving.start()
    assert answers(serving)


@pytest.mark.req("FLT-2", "FLT-1")
def test_a_job_goes_on_while_the_service_is_away(serving: Serving) -> None:
    served = Served(serving.url, [], serving.settings)
    with working(serving.settings):
        client = Client(served)
        address = client.create(ENDLESS)
        client.running(address)
        started = client.job(address)["startTime"]
        serving.kill()
        serving.start()
        client = Client(served)
        job = client.job(address)
        assert (job["phase"], job["startTime"]) == ("EXECUTING", started)
        client.post(f"{address}/phase", PHASE="ABORT")
        following = client.create(PHASE="RUN")
        assert client.ended(following) == "COMPLETED"
        for one in (address, following):
            client.http.delete(one)


# ---- disks -------------------------------------------------------------------------------------


@pytest.mark.req("FLT-3")
@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "gone"])
def test_a_damaged_partition_is_told_by_its_table_and_all_else_is_served(
    serving: Serving, damage: str
) -> None:
    root = serving.settings.releases / "sky"
    partition = next(root.glob("versions/*/catalogs/Object/dataset/**/*.parquet"))
    whole = partition.read_bytes()
    query = "SELECT COUNT(*) AS n, SUM(flux) AS f, MAX(kind) AS k FROM sky.Object"
    before = asked(serving, query)
    assert before.status_code == 200
    if damage == "gone":
        partition.unlink()
    else:
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 255
        partition.write_bytes({"cut": whole[:-1000], "changed": changed, "empty": b""}[damage])
    try:
        answer = asked(serving, query)
        assert answer.status_code == 500
        assert "The data of sky.Object could not be read." in answer.text
        assert str(root) not in answer.text
        assert answers(serving), "other tables are served"
    finally:
        partition.write_bytes(whole)
    again = asked(serving, query)
    assert again.text == before.text, "it is read again, without a restart"


@pytest.mark.req("FLT-4")
def test_a_disk_that_is_full_of_uploads_is_told(serving: Serving, small_disk: Path) -> None:
    if not small_disk.is_mount():
        pytest.skip("a small disk cannot be mounted here")
    query = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t"
    form = {"QUERY": query, "UPLOAD": "t,param:t", "RESPONSEFORMAT": "csv"}

    def sent(rows: int) -> httpx.Response:
        table = b"id\n" + b"1234567\n" * rows
        return httpx.post(f"{serving.tap}/sync", data=form, files={"t": table}, timeout=60)

    full = sent(2 * DISK // 8)
    assert full.status_code == 507
    assert "disk is full" in full.text
    assert "QUERY_STATUS" in full.text
    assert sent(1000).text.split() == ["n", "1000"]
    assert eventually(lambda: not list(small_disk.iterdir()))


@pytest.mark.req("FLT-4")
def test_no_two_databases_spill_into_one_folder(tmp_path: Path) -> None:
    left = tmp_path / f"engine-{socket.gethostname()}.{_dead()}-0"
    left.mkdir()
    engines = [DuckDBEngine([tmp_path / "none"], Limits("100MB", 1, tmp_path)) for _ in range(2)]
    assert not left.exists(), "what a killed process left is removed"
    found = [
        base.cursor().execute("SELECT current_setting('temp_directory')").fetchone()[0]
        for engine in engines
        for base in (engine._wide, engine._little)
    ]
    assert len(set(found)) == 4
    for engine in engines:
        engine.close()
    assert not list(tmp_path.iterdir())


def _dead() -> int:
    """Give the number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


# ---- large requests ----------------------------------------------------------------------------


@pytest.mark.req("FLT-5")
@pytest.mark.parametrize("told", [True, False])
def test_an_upload_that_is_too_long_is_refused_and_takes_no_memory(
    serving: Serving, told: bool
) -> None:
    begin = (
        b'--b\r\nContent-Disposition: form-data; name="QUERY"\r\n\r\nSELECT * FROM TAP_UPLOAD.t'
        b'\r\n--b\r\nContent-Disposition: form-data; name="UPLOAD"\r\n\r\nt,param:t\r\n--b\r\n'
        b'Content-Disposition: form-data; name="t"; filename="t.csv"\r\n\r\nid\n'
    )
    piece, count = b"1234567\n" * (1 << 17), 200
    before = serving.memory()
    most = before

    def body() -> Iterator[bytes]:
        nonlocal most
        yield begin
        for _ in range(count):
            most = max(most, serving.memory())
            yield piece
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    if told:
        headers["Content-Length"] = str(len(begin) + count * len(piece) + 9)
    answer = httpx.post(f"{serving.tap}/sync", content=body(), headers=headers, timeout=60)
    # Where the disk is small, that is what is told.
    assert answer.status_code in ({413} if told else {413, 507})
    assert "bytes" in answer.text or "disk" in answer.text
    assert most - before < 100 << 20
    assert answers(serving)


@pytest.mark.req("FLT-6")
def test_a_long_list_is_answered_and_a_million_values_are_refused_with_advice(
    serving: Serving,
) -> None:
    def listed(count: int) -> httpx.Response:
        values = ",".join(str(2**60 + n * 3) for n in range(count))
        return asked(serving, f"SELECT COUNT(*) AS n FROM sky.Object WHERE objectId IN ({values})")

    answer = listed(5_000)
    assert answer.text.split() == ["n", "5000"], answer.text[-600:]
    refused = listed(1_000_000)
    assert refused.status_code == 413
    assert "UPLOAD" in refused.text
    assert answers(serving)


# ---- clients -----------------------------------------------------------------------------------


@pytest.mark.req("FLT-7")
async def test_endless_queries_keep_nobody_from_being_served(serving: Serving) -> None:
    headers = {"Authorization": "Bearer good"}
    async with httpx.AsyncClient(timeout=60) as client:

        def ask(query: str, **more: dict[str, str]) -> asyncio.Task[httpx.Response]:
            form = {"QUERY": query, "RESPONSEFORMAT": "csv"}
            return asyncio.ensure_future(client.post(f"{serving.tap}/sync", data=form, **more))

        endless = [ask(ENDLESS) for _ in range(6)]
        endless += [ask(ENDLESS, headers=headers) for _ in range(6)]
        await asyncio.wait(endless, timeout=1)
        other = await ask(
            "SELECT COUNT(*) AS n FROM sky.Visit", headers={"Authorization": "Bearer member"}
        )
        assert other.text.split() == ["n", "5"]
        assert not any(one.done() for one in endless)
        for one in endless:
            one.cancel()
        await asyncio.wait(endless)
    # Whoever left has stopped their queries: the public is served again.
    assert answers(serving)


@pytest.mark.req("FLT-8")
@pytest.mark.parametrize("where", ["address", "header", "headers"])
def test_a_head_that_does_not_end_is_refused(serving: Serving, where: str) -> None:
    first, more = {
        "address": (b"GET /healthz?", b"a" * 4096),
        "header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * 4096),
        "headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-Many: a\r\n" * 400),
    }[where]
    before = serving.memory()
    with socket.create_connection(("127.0.0.1", int(serving.url.rpartition(":")[2]))) as client:
        client.settimeout(30)
        client.sendall(first)
        try:
            for _ in range(20_000):
                client.sendall(more)
            pytest.fail("all of it was taken")
        except OSError:
            pass
    assert serving.memory() - before < 20 << 20
    assert answers(serving)


@pytest.mark.req("FLT-8")
def test_a_head_just_too_long_is_told_so_and_a_query_below_is_answered(serving: Serving) -> None:
    def asked_by_address(address: int, header: int = 0) -> httpx.Response:
        query = quote("SELECT COUNT(*) AS n FROM sky.Visit --" + "x" * address)
        url = f"{serving.tap}/sync?FORMAT=csv&QUERY={query}"
        return httpx.get(url, headers={"X-Note": "x" * header}, timeout=30)

    assert asked_by_address(50_000).text.split() == ["n", "5"]
    refused = asked_by_address(50_000, 20_000)
    assert refused.status_code == 431
    assert "POST" in refused.text


@pytest.mark.req("FLT-8")
def test_many_connections_that_say_nothing_keep_nobody_from_being_served(
    serving: Serving,
) -> None:
    port = int(serving.url.rpartition(":")[2])
    half = b"POST /api/tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    said = (b"", b"GET /api", half, half + b"\r\n", half + b"\r\nQUERY=")
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(500)]
    try:
        for number, client in enumerate(held):
            client.sendall(said[number % len(said)])
        assert answers(serving)
    finally:
        for client in held:
            client.close()
    assert answers(serving)
