# ruff: noqa: S608 - the queries are written here.
"""Tycho-2 in a bucket: what a query costs when nothing of it is here, and when all is.

The object store is moto in a process of its own on the loopback interface. It takes milliseconds a
request, and shares the machine: what a query fetches (requests, megabytes) tells more than how long
that took here.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import boto3
from tests.support.platform import free_port
from tests.support.waiting import eventually

from bench.tap import tycho2
from cerro_services.adql import compile_query
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.objects import Bucket, BucketError
from cerro_services.release import ReleaseStore
from cerro_services.release.progress import Progress
from cerro_services.release.push import push
from cerro_services.tap.tapschema import view

_TIMES = 15
_CONE = "CONTAINS(POINT(ra, dec), CIRCLE({}, {}, {})) = 1"
QUERIES = {
    "top_1": "SELECT TOP 1 * FROM tycho2.Tycho2",
    "cone_0.1deg": f"SELECT * FROM tycho2.Tycho2 WHERE {_CONE.format(83.6, -5.4, 0.1)}",
    "cone_1deg": f"SELECT * FROM tycho2.Tycho2 WHERE {_CONE.format(201.3, 11.2, 1)}",
    "key": "SELECT * FROM tycho2.Tycho2 WHERE hip = 12345",
    "group_by": "SELECT FLOOR(VTmag) AS m, COUNT(*) AS n FROM tycho2.Tycho2 GROUP BY FLOOR(VTmag)",
    "scan_4_columns": "SELECT COUNT(*) AS n FROM tycho2.Tycho2 WHERE BTmag - VTmag < 0.2"
    " AND pmRA > 0 AND pmDE > 0",
    "all_rows": "SELECT * FROM tycho2.Tycho2",
}


def run(workdir: Path) -> dict[str, float | str]:
    """Publish Tycho-2, push it to a bucket, and ask it in the folder and there."""
    figures: dict[str, float | str] = {}
    store = tycho2(workdir, {})
    with _objects():
        bucket = Bucket("s3://bench/releases")
        begun = time.perf_counter()
        done = push(ReleaseStore(store), "tycho2", bucket, Progress())
        figures["push_MB_s"] = round(done.bytes / 1e6 / (time.perf_counter() - begun), 1)
        begun = time.perf_counter()
        push(ReleaseStore(store), "tycho2", bucket, Progress())
        figures["push_again_s"] = round(time.perf_counter() - begun, 2)
        here = _opened(workdir / "here", str(store))
        for name, adql in QUERIES.items():
            asked: list[int] = []
            there = _opened(workdir / f"cold-{name}", bucket.url)
            with _counted(asked):
                cold, first = _timed(there, adql)
            figures[f"{name}_cold_ms"] = round(cold * 1e3, 1)
            figures[f"{name}_cold_first_row_ms"] = round(first * 1e3, 1)
            figures[f"{name}_cold_requests"] = len(asked)
            figures[f"{name}_cold_MB"] = round(sum(asked) / 1e6, 1)
            for what, context in (("warm", there), ("local", here)):
                times = [_timed(context, adql)[0] for _ in range(_TIMES + 2)][2:]
                figures[f"{name}_{what}_ms"] = round(statistics.median(times) * 1e3, 1)
            there.store.close()
            there.engine.close()
        small = _opened(workdir / "small", bucket.url, cache_size="32MB")
        took, first = _timed(small, QUERIES["all_rows"])
        figures["all_rows_cache_of_32_MB_ms"] = round(took * 1e3, 1)
        figures["all_rows_cache_of_32_MB_first_row_ms"] = round(first * 1e3, 1)
        held = sum(f.stat().st_blocks * 512 for f in small.settings.cache.rglob("*") if f.is_file())
        figures["all_rows_cache_of_32_MB_holds_MB"] = round(held / 1e6, 1)
    return figures


def _opened(home: Path, releases: str, **more: str) -> Context:
    return Context.build(Settings(home=home, releases=releases, bucket_seconds=3600, **more))


def _timed(context: Context, adql: str) -> tuple[float, float]:
    """Give the seconds until the last row and the first."""
    query = compile_query(adql, view(context.store.published(), frozenset()).catalogue)
    begun, first = time.perf_counter(), 0.0
    stream = context.engine.stream(query)
    try:
        for _ in stream:
            first = first or time.perf_counter() - begun
    finally:
        stream.close()
    return time.perf_counter() - begun, first


@contextmanager
def _counted(asked: list[int]) -> Iterator[None]:
    """Note the size of each piece that is read."""
    read, lock = Bucket.read, threading.Lock()

    def noted(self: Bucket, key: str, begin: int, end: int, etag: str) -> tuple[bytes, str]:
        with lock:
            asked.append(end - begin)
        return read(self, key, begin, end, etag)

    with mock.patch.object(Bucket, "read", noted):
        yield


@contextmanager
def _objects() -> Iterator[None]:
    """Run an object store, and tell this process where it is."""
    port = free_port()
    told = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
    }
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with mock.patch.dict(os.environ, told):
            eventually(_answers)
            boto3.client("s3").create_bucket(Bucket="bench")
            yield
    finally:
        process.terminate()
        process.wait(10)


def _answers() -> bool:
    try:
        Bucket("s3://nothing").folders()
    except BucketError as error:
        return "no such bucket" in str(error)
    return True
