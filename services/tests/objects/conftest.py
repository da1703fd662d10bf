"""What the tests of object storage share: a server of objects, and releases in it."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import pyarrow as pa
import pytest
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.adql import compile_query
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.objects import Bucket
from cerro_services.release import ReleaseStore
from cerro_services.release.progress import Progress
from cerro_services.release.push import push
from cerro_services.tap.tapschema import view

KEY, SECRET = "AKIAOBSERVATORY00001", "hush/hush+this/is+the/secret/key"


class Gate(socketserver.ThreadingTCPServer):
    """Lets connections through to a port, until it is shut."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, behind: int) -> None:
        self.behind, self.is_open = behind, True
        self._through: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Through)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def shut(self) -> None:
        self.is_open = False
        for one in list(self._through):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def connect(self, *sides: socket.socket) -> None:
        self._through.update(sides)


class _Through(socketserver.BaseRequestHandler):
    server: Gate

    def handle(self) -> None:
        if not self.server.is_open:
            return
        with socket.create_connection(("127.0.0.1", self.server.behind)) as other:
            self.server.connect(self.request, other)
            back = threading.Thread(target=_pour, args=(other, self.request), daemon=True)
            back.start()
            _pour(self.request, other)
            back.join()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="session")
def objects() -> Iterator[int]:
    """Run a server of objects in a process of its own, and give its port."""
    port = free_port()
    command = "from moto.server import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/moto-api/").status_code == 200)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture
def gate(objects: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Stand between this process and the server, and tell this process where that is."""
    made = Gate(objects)
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield made
    made.shut()
    made.shutdown()
    made.server_close()


@pytest.fixture
def s3(gate: Gate) -> Any:
    """Give another client of the server."""
    return boto3.client("s3", endpoint_url=gate.url)


_numbers = iter(range(10**6))


@pytest.fixture
def url(s3: Any) -> str:
    """Give the address of a folder in a new bucket."""
    bucket = f"observatory-{next(_numbers)}"
    s3.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/public/releases"


@pytest.fixture
def bucket(url: str, store: ReleaseStore) -> Bucket:
    """Give a bucket to which release ``sky`` was pushed."""
    made = Bucket(url)
    push(store, "sky", made, Progress())
    return made


Ask = Callable[..., pa.Table]


def answered(context: Context, adql: str) -> pa.Table:
    """Answer ADQL for someone who may read everything."""
    seen = view(context.store.published(), frozenset({"data-rights"}))
    query = compile_query(adql, seen.catalogue)
    stream = context.engine.stream(query)
    try:
        schema = stream.begin()
        rows = pa.Table.from_batches(list(stream), schema)
    finally:
        stream.close()
    return rows.rename_columns([column.name for column in query.columns])


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Context]]:
    """Give a function that opens what a service has, for releases in some places."""
    made: list[Context] = []

    def build(releases: object, **more: Any) -> Context:
        given = {"home": tmp_path / "home", "threads": 2, "memory": "500MB", **more}
        made.append(Context.build(Settings(releases=releases, **given)))
        return made[-1]

    yield build
    for context in made:
        context.store.close()
        context.engine.close()
        context.database.dispose()
