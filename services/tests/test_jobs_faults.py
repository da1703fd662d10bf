"""Jobs when processes die, disks fill and quotas end: nothing is lost, and the reason is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from lxml import etree
from services.tests.serving import Served, running, working
from services.tests.uws.client import HEAVY, UWS, Client
from tests.support import disks
from tests.support.waiting import eventually

LONG = (
    "SELECT a.objectId, b.objectId AS other, a.kind FROM sky.Object AS a "
    "JOIN sky.Object AS b ON a.n = b.n"
)
"""Has 80 million rows, of which MAXREC takes some."""
DISK = 48 << 20


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder on a small disk of its own, where that can be had."""
    with disks.small_disk(tmp_path_factory.mktemp("jobs"), DISK) as folder:
        yield folder


@pytest.fixture(scope="module")
def served_alone(
    served: Served, small_disk: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Serve the same releases from a home whose worker these tests may kill."""
    alone = served.beside(
        tmp_path_factory.mktemp("faults"),
        job_memory="500MB",
        threads=2,
        job_processes=1,
        job_files=small_disk,
        quotas={
            "default": {"result_bytes": "1MB", "kept_jobs": 40},
            "public": {"queued_jobs": 3, "running_jobs": 1},
        },
    )
    with running(alone.settings, alone.port):
        yield alone


@pytest.fixture(scope="module")
def anyone(served_alone: Served) -> Client:
    return Client(served_alone)


@pytest.fixture(scope="module")
def waiting_job(served_alone: Served, anyone: Client) -> str:
    """Give a job that was sent when no worker ran."""
    return anyone.create(PHASE="RUN")


@pytest.fixture(scope="module")
def worker(served_alone: Served, waiting_job: str) -> Iterator[working]:
    with working(served_alone.settings) as made:
        yield made


def message(client: Client, address: str) -> str:
    root = etree.fromstring(client.get(address).content)
    return str(root.findtext(f"{UWS}errorSummary/{UWS}message"))


@pytest.mark.req("UWS-11")
def test_without_a_worker_jobs_wait_and_the_service_says_so(
    served_alone: Served, anyone: Client, waiting_job: str
) -> None:
    assert anyone.job(waiting_job, WAIT=1)["phase"] == "QUEUED"
    availability = httpx.get(f"{served_alone.tap}/availability").text
    assert "no worker runs them" in availability


@pytest.mark.req("UWS-8", "UWS-11")
def test_a_worker_that_starts_runs_what_waits(
    anyone: Client, waiting_job: str, worker: working
) -> None:
    assert anyone.ended(waiting_job) == "COMPLETED"
    anyone.http.delete(waiting_job)


@pytest.mark.req("UWS-8")
def test_a_job_in_mid_result_is_started_again_when_its_worker_was_killed(
    served_alone: Served, anyone: Client, worker: working
) -> None:
    address = anyone.create(LONG, MAXREC="300000", RESPONSEFORMAT="csv", PHASE="RUN")
    folder = served_alone.settings.job_files
    name = address.rsplit("/", 1)[1]
    eventually(lambda: [p for p in folder.glob(f"*/{name}/result.part") if p.stat().st_size])
    children = worker.children()
    worker.kill()
    assert anyone.job(address)["phase"] == "EXECUTING"
    assert not psutil.wait_procs(children, timeout=10)[1], "no process goes on without its worker"
    worker.start()
    assert anyone.ended(address) == "COMPLETED"
    result = anyone.get(f"{address}/results/result")
    assert result.text.count("\n") == 300_001
    assert not list(folder.glob(f"*/{name}/*.part"))
    anyone.http.delete(address)


@pytest.mark.req("UWS-8")
def test_a_job_whose_process_dies_twice_is_given_up(anyone: Client, worker: working) -> None:
    address = anyone.create(HEAVY)
    anyone.running(address)
    for _ in range(2):
        # How far it is tells that the process has it, and not only the worker.
        eventually(lambda: "jobInfo" in anyone.job(address))
        (busy,) = worker.children()
        os.kill(busy.pid, 9)
        eventually(lambda: "jobInfo" not in anyone.job(address))
    assert anyone.ended(address) == "ERROR"
    assert "ended 2 times" in message(anyone, address)
    following = anyone.create(PHASE="RUN")
    assert anyone.ended(following) == "COMPLETED", "others are served"
    for one in (address, following):
        anyone.http.delete(one)


@pytest.mark.req("UWS-8")
def test_a_restart_of_worker_loses_nothing(anyone: Client, worker: working) -> None:
    address = anyone.create(HEAVY)
    anyone.running(address)
    waiting = anyone.create(PHASE="RUN")
    worker.process.send_signal(signal.SIGHUP)
    assert worker.process.wait(20) == 0
    assert anyone.job(address)["phase"] == "QUEUED"
    worker.start()
    assert anyone.job(address, WAIT=30, PHASE="QUEUED")["phase"] == "EXECUTING"
    anyone.post(f"{address}/phase", PHASE="ABORT")
    assert anyone.ended(waiting) == "COMPLETED"
    for one in (address, waiting):
        anyone.http.delete(one)


@pytest.mark.req("UWS-7")
def test_a_process_that_does_not_heed_is_killed_and_replaced(
    anyone: Client, worker: working
) -> None:
    address = anyone.create(HEAVY)
    anyone.running(address)
    (deaf,) = worker.children()
    deaf.suspend()
    anyone.post(f"{address}/phase", PHASE="ABORT")
    following = anyone.create(PHASE="RUN")
    assert anyone.ended(following) == "COMPLETED"
    assert not psutil.wait_procs([deaf], timeout=10)[1]
    assert eventually(lambda: len(worker.children()) == 1)
    for one in (address, following):
        anyone.http.delete(one)


@pytest.mark.req("UWS-9")
def test_a_full_disk_is_told_and_leaves_nothing(
    anyone: Client, worker: working, small_disk: Path
) -> None:
    if not small_disk.is_mount():
        pytest.skip("a small disk cannot be mounted here")
    address = anyone.create(LONG, MAXREC="1000000", RESPONSEFORMAT="tabledata", PHASE="RUN")
    assert anyone.ended(address) == "ERROR"
    assert "disk" in message(anyone, address)
    assert "is full" in message(anyone, address)
    assert not list(small_disk.glob("*/*/result*"))
    following = anyone.create(PHASE="RUN")
    assert anyone.ended(following) == "COMPLETED"
    for one in (address, following):
        anyone.http.delete(one)


@pytest.mark.req("UWS-9", "UWS-13")
def test_nobody_keeps_more_than_their_quota(served_alone: Served, worker: working) -> None:
    ada = Client(served_alone, "good")
    many = {"MAXREC": "20000", "RESPONSEFORMAT": "csv", "PHASE": "RUN"}
    first = ada.create(LONG, **many)
    assert ada.ended(first) == "COMPLETED"
    second = ada.create(LONG, **many)
    assert ada.ended(second) == "ERROR"
    assert "1,000,000 bytes" in message(ada, second)
    ada.http.delete(first)
    third = ada.create(LONG, **many)
    assert ada.ended(third) == "COMPLETED", "what was deleted makes room"
    for one in (second, third):
        ada.http.delete(one)


@pytest.mark.req("UWS-13")
def test_nobody_sends_more_jobs_than_their_quota(served_alone: Served, worker: working) -> None:
    anyone = Client(served_alone)
    jobs = [anyone.create(HEAVY, PHASE="RUN") for _ in range(3)]
    further = anyone.create()
    refused = anyone.post(f"{further}/phase", PHASE="RUN")
    assert refused.status_code == 429
    assert "3 of your jobs" in refused.text
    assert anyone.job(further)["phase"] == "PENDING", "it can be run later"
    for address in jobs:
        anyone.http.delete(address)
    anyone.post(f"{further}/phase", PHASE="RUN")
    assert anyone.ended(further) == "COMPLETED"
    anyone.http.delete(further)
    ada = Client(served_alone, "good")
    kept = [ada.create() for _ in range(40)]
    assert ada.http.post(ada.list, data={"QUERY": "SELECT"}).status_code == 429
    for address in kept:
        ada.http.delete(address)
