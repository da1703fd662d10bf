"""How long a trivial asynchronous query takes, from its creation to its rows, and an abort.

On Tycho-2 as `bench.tap` publishes it, with `cerro serve` and `cerro work` as they are. The machine
should be quiet.
"""

# ruff: noqa: S608 - the queries are made here.

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from bench._serving import ENDED, polled, served, working
from bench.tap import TABLE, tycho2

REPEATS = 40
TRIVIAL = f"SELECT TOP 1 tyc FROM {TABLE}"
HEAVY = f"SELECT COUNT(*) AS n FROM {TABLE} AS a JOIN {TABLE} AS b ON a.ra + b.dec < a.dec"


def run(workdir: Path) -> dict[str, float | str]:
    """Run jobs."""
    figures: dict[str, float | str] = {}
    store = tycho2(workdir, figures)
    with (
        served(workdir, store) as sync,
        working(workdir, store),
        httpx.Client(timeout=120) as client,
    ):
        jobs = sync.replace("/sync", "/async")
        for _ in range(3):
            _job(client, jobs)
        for name, wait in (("poll_10ms", False), ("wait", True)):
            times = [_timed(client, jobs, wait=wait) for _ in range(REPEATS)]
            figures[f"trivial_job_{name}_median_ms"] = statistics.median(times)
            figures[f"trivial_job_{name}_p95_ms"] = sorted(times)[int(0.95 * REPEATS)]
        figures["abort_to_next_job_started_ms"] = statistics.median(
            _abort(client, jobs) for _ in range(5)
        )
        figures["trivial_jobs_of_8_clients_per_s"] = _eight(jobs)
    return figures


def _create(client: httpx.Client, jobs: str, query: str, **parameters: str) -> str:
    answer = client.post(jobs, data={"LANG": "ADQL", "QUERY": query, **parameters})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def _job(client: httpx.Client, jobs: str, *, wait: bool = False) -> str:
    """Create a job, run it, follow it and fetch its rows, as pyvo does."""
    address = _create(client, jobs, TRIVIAL)
    client.post(f"{address}/phase", data={"PHASE": "RUN"})

    def phase() -> str:
        return client.get(f"{address}/phase").text

    if wait:
        # Each answer comes with the next change of phase.
        client.get(address, params={"WAIT": 10})
        while (ended := phase()) not in ENDED:
            client.get(address, params={"WAIT": 10})
    else:
        ended = polled(phase)
    assert ended == "COMPLETED", ended
    assert client.get(f"{address}/results/result").is_success
    return address


def _timed(client: httpx.Client, jobs: str, *, wait: bool) -> float:
    started = time.perf_counter()
    address = _job(client, jobs, wait=wait)
    took = 1e3 * (time.perf_counter() - started)
    client.delete(address)
    return took


def _abort(client: httpx.Client, jobs: str) -> float:
    """Abort a query that the only place is taken by; the next begins when it has stopped."""
    heavy = _create(client, jobs, HEAVY, PHASE="RUN")
    client.get(heavy, params={"WAIT": 60, "PHASE": "QUEUED"})
    # It says how far it is when the engine is at work.
    while "jobInfo" not in client.get(heavy, params={"WAIT": 1, "PHASE": "EXECUTING"}).text:
        pass
    following = _create(client, jobs, TRIVIAL, PHASE="RUN")
    started = time.perf_counter()
    client.post(f"{heavy}/phase", data={"PHASE": "ABORT"})
    client.get(following, params={"WAIT": 60, "PHASE": "QUEUED"})
    took = 1e3 * (time.perf_counter() - started)
    for address in (heavy, following):
        client.delete(address)
    return took


def _eight(jobs: str) -> float:
    def many(_: int) -> None:
        with httpx.Client(timeout=120) as client:
            for _ in range(10):
                client.delete(_job(client, jobs, wait=True))

    started = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))
    return 80 / (time.perf_counter() - started)
