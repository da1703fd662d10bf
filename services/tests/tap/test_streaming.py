"""Results flow while the query runs, and a client that leaves stops it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import traceback
from urllib.parse import quote

import httpx
import pytest
from services.tests.serving import Served, running
from services.tests.tap.asking import LONG
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore
from cerro_services.tap.sync import Answer


@pytest.mark.req("TAP-10")
def test_the_first_rows_arrive_while_the_query_runs(client: httpx.Client) -> None:
    # 2.7e13 rows: nobody reads them all before they send the first.
    with client.stream("POST", "sync", data={"QUERY": LONG, "MAXREC": "20000000"}) as answer:
        first = next(answer.iter_bytes())
    assert answer.status_code == 200
    assert b"<FIELD" in first


@pytest.mark.req("TAP-10")
async def test_a_client_that_leaves_stops_its_query(served: Served) -> None:
    endless = LONG.replace("a.objectId, b.ra", "COUNT(*)")
    before = _running()
    async with httpx.AsyncClient() as client:
        request = asyncio.ensure_future(
            client.post(f"{served.tap}/sync", data={"QUERY": endless}, timeout=60)
        )
        await asyncio.to_thread(eventually, lambda: _running() > before)
        request.cancel()
        await asyncio.wait({request})
    await asyncio.to_thread(eventually, lambda: _running() == before)


def _running() -> int:
    """Count the worker threads that are inside a query."""
    frames = sys._current_frames()
    names = {t.ident: t.name for t in threading.enumerate()}
    count = 0
    for ident, frame in frames.items():
        if not names.get(ident, "").startswith("query"):
            continue
        stack = traceback.walk_stack(frame)
        count += any(inner.f_code.co_qualname == "Answer.begin" for inner, _ in stack)
    return count


@pytest.mark.req("TAP-13")
async def test_a_client_that_reads_no_further_is_left(
    store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    settings = Settings(
        home=tmp_path_factory.mktemp("stall"), releases=store.root, stall_seconds=0.5, threads=1
    )
    with running(settings, port):
        form = f"QUERY={quote(LONG)}&MAXREC=20000000".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        head = (
            "POST /api/tap/sync HTTP/1.1\r\nHost: x\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n"
        )
        writer.write(head.encode() + form)
        assert b"200 OK" in await reader.readline()
        # Nothing more is read; in time the service closes, and what was on its way ends early.
        await asyncio.to_thread(eventually, lambda: _open_queries() == 0)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 20):
                pass
        writer.close()


def _open_queries() -> int:
    gc.collect()
    return sum(isinstance(o, Answer) and not o._closed for o in gc.get_objects())
