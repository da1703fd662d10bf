"""How fast results are written: CPU of each format, BINARY2 against Arrow itself, and memory.

A million made-up rows of ten columns are written by each format. Then a service answers with them,
and pyarrow writes the same batches as IPC to the same kind of socket. At last ten million rows go
to a client that reads slowly, while the service's memory is watched.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
import urllib.parse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import psutil
import pyarrow as pa
from pyarrow import ipc, parquet

from bench._serving import median_ms, served

ROWS = 1_000_000
MANY = 10_000_000
BATCH = 32_768
REPEATS = 5
SLOW = 40e6
"""Bytes a second of a slow client."""
_FLOATS = tuple(f"mag{i}" for i in range(7))
_SCHEMA = (
    "name: made\n'@id': '#made'\ntables:\n- name: Star\n  '@id': '#Star'\n  columns:\n"
    "  - {name: id, '@id': '#Star.id', datatype: long}\n"
    "  - {name: lon, '@id': '#Star.lon', datatype: double, 'ivoa:unit': deg}\n"
    "  - {name: lat, '@id': '#Star.lat', datatype: double, 'ivoa:unit': deg}\n"
    + "".join(f"  - {{name: {n}, '@id': '#Star.{n}', datatype: float}}\n" for n in _FLOATS)
)


def run(workdir: Path) -> dict[str, float | str]:
    """Write, serve and watch."""
    table = _made(ROWS)
    figures = _writers(table)
    store = _published(workdir)
    with served(workdir, store) as url:
        figures |= _against_arrow(url, table)
        figures |= _slow(url)
    return figures


def _made(rows: int, seed: int = 5) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = {
        "id": np.arange(rows) + 2**60,
        "lon": random.uniform(0, 360, rows),
        "lat": random.uniform(-90, 90, rows),
    }
    return pa.table(columns | {name: random.normal(20, 2, rows).astype("f4") for name in _FLOATS})


def _writers(table: pa.Table) -> dict[str, float | str]:
    """Measure each format within the process: CPU seconds and megabytes a million rows."""
    from cerro_services.adql import ResultColumn
    from cerro_services.formats import FORMATS, Frame, describe, pieces, settled

    columns = [ResultColumn(name) for name in table.column_names]
    batches = table.to_batches(max_chunksize=BATCH)
    figures: dict[str, float | str] = {}
    for form in FORMATS:
        best, size = float("inf"), 0
        for _ in range(2):
            started = time.process_time()
            fields, rows = settled(form, describe(columns, table.schema), iter(batches))
            size = sum(map(len, pieces(rows, form.writer(fields, Frame()), ROWS)))
            best = min(best, time.process_time() - started)
        figures[f"{form.name}_1M_rows_cpu_s"] = best
        figures[f"{form.name}_1M_rows_MB"] = size / 1e6
    return figures


def _against_arrow(url: str, table: pa.Table) -> dict[str, float | str]:
    """Compare what the service sends with what pyarrow writes to a socket."""
    batches = table.to_batches(max_chunksize=BATCH)

    def by_arrow(connection: socket.socket) -> None:
        with (
            connection.makefile("wb", buffering=0) as file,
            ipc.new_stream(pa.PythonFile(file), table.schema) as stream,
        ):
            for batch in batches:
                stream.write_batch(batch)

    figures: dict[str, float | str] = {"arrow_to_socket_1M_rows_s": _seconds(_piped(by_arrow))}
    for form in ("votable", "arrow"):
        figures[f"service_{form}_1M_rows_s"] = _seconds(partial(_fetch, url, form, ROWS))
    arrow, votable = figures["arrow_to_socket_1M_rows_s"], figures["service_votable_1M_rows_s"]
    assert isinstance(arrow, float)
    assert isinstance(votable, float)
    figures["service_votable_rate_of_arrow"] = arrow / votable
    return figures


def _seconds(action: Callable[[], object]) -> float:
    return median_ms(lambda _: action(), REPEATS) / 1e3


def _fetch(url: str, form: str, rows: int) -> int:
    """Read a whole answer as fast as a socket allows; give its bytes."""
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.urlencode(
        {"QUERY": "SELECT * FROM made.Star", "RESPONSEFORMAT": form, "MAXREC": rows}
    )
    request = f"GET {parts.path}?{query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    size = 0
    buffer = bytearray(1 << 20)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(request.encode() + b"\r\n")
        while got := connection.recv_into(buffer):
            size += got
    return size


def _piped(write: Callable[[socket.socket], None]) -> Callable[[], None]:
    """Give a function that writes to a socket which another process reads."""

    def once() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            reader = multiprocessing.get_context("fork").Process(target=_drain, args=(server,))
            reader.start()
            with socket.create_connection(server.getsockname()) as connection:
                write(connection)
            reader.join()

    return once


def _drain(server: socket.socket) -> None:
    connection, _ = server.accept()
    buffer = bytearray(1 << 20)
    while connection.recv_into(buffer):
        pass


def _slow(url: str) -> dict[str, float | str]:
    """Read ten million rows slowly; give the greatest memory of the service meanwhile."""
    parts = urllib.parse.urlsplit(url)
    family = [p for p in psutil.process_iter(["pid"]) if _listens(p, parts.port or 0)]
    watched = {q for p in family for q in (p, *p.children(recursive=True))}
    most = 0
    size = 0
    started = time.perf_counter()
    body = {"QUERY": "SELECT * FROM made.Star", "MAXREC": MANY}
    with httpx.stream("POST", url, data=body, timeout=600) as answer:
        for i, chunk in enumerate(answer.iter_raw(1 << 18)):
            size += len(chunk)
            ahead = size / SLOW - (time.perf_counter() - started)
            if ahead > 0:
                # No wait for anything: the client that is measured is this slow.
                time.sleep(ahead)
            if i % 40 == 0:
                most = max(most, sum(p.memory_info().rss for p in watched))
    return {
        "slow_client_10M_rows_MB": size / 1e6,
        "slow_client_10M_rows_s": time.perf_counter() - started,
        "slow_client_10M_rows_service_rss_MB": most / 1e6,
    }


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return any(c.laddr.port == port for c in process.net_connections() if c.status == "LISTEN")
    except psutil.Error:
        return False


def _published(workdir: Path) -> Path:
    """Publish ten million rows of one table."""
    from cerro_services.release import ReleaseStore
    from cerro_services.release.access import Access
    from cerro_services.release.description import Description
    from cerro_services.release.draft import Drafts
    from cerro_services.release.publish import Publisher

    source = workdir / "made.parquet"
    schema = _made(1).schema
    with parquet.ParquetWriter(source, schema) as writer:
        for i in range(MANY // ROWS):
            writer.write_table(_made(ROWS, seed=i))
    (workdir / "made.yaml").write_text(_SCHEMA)
    store = ReleaseStore(workdir / "releases")
    drafts = Drafts(store)
    drafts.create(Description("made", "Made up", Access()), workdir / "made.yaml")
    drafts.ingest("made", "Star", [source])
    Publisher(store).publish("made")
    source.unlink()
    return store.root
