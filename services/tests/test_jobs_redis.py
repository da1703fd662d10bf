"""Messages of jobs in Redis; and what happens while it is away."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as AwayError
from services.tests.serving import Served, running, working
from services.tests.uws.client import HEAVY, Client
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.config import ConfigError, Settings
from cerro_services.uws.queue import Queue

PROGRAM = shutil.which("redis-server")


class Server:
    """A Redis of its own, which keeps nothing on disk.

    Parameters
    ----------
    folder
        Where it runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self._port}/3"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert PROGRAM is not None
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [PROGRAM, *options], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        with Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except AwayError:
                return False

    def waiting(self) -> int:
        """Give how many messages wait."""
        with Redis.from_url(self.url) as client:
            return sum(client.llen(key) for key in client.keys("huey.redis.*"))

    def stop(self) -> None:
        """Stop it as if the machine had lost its power: what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    made = Server(tmp_path_factory.mktemp("redis"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def alone(served: Served, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Served:
    home = tmp_path_factory.mktemp("queued")
    return served.beside(home, job_processes=1, queue_url=server.url)


@pytest.fixture(scope="module")
def settings(alone: Served) -> Settings:
    return alone.settings


@pytest.fixture(scope="module")
def anyone(alone: Served) -> Iterator[Client]:
    with running(alone.settings, alone.port):
        yield Client(alone)


@pytest.mark.req("UWS-12")
def test_jobs_run_by_way_of_redis(anyone: Client, server: Server, settings: Settings) -> None:
    early = anyone.create(PHASE="RUN")
    assert server.waiting() == 1, "the message lies in Redis"
    with working(settings):
        anyone.passes(early, HEAVY)


@pytest.mark.req("UWS-12")
def test_no_job_is_lost_with_redis(anyone: Client, server: Server, settings: Settings) -> None:
    before = anyone.create(PHASE="RUN")
    with working(settings):
        assert anyone.ended(before) == "COMPLETED"
        executing = anyone.create(HEAVY, EXECUTIONDURATION="3")
        anyone.running(executing)
        server.stop()
        try:
            meanwhile = anyone.create(PHASE="RUN")
            assert anyone.job(meanwhile)["phase"] == "QUEUED"
            assert anyone.ended(executing) == "ABORTED", "what ran goes on without it"
            sync = anyone.list.replace("async", "sync")
            query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 visit FROM sky.Visit"}
            assert anyone.get(sync, **query).status_code == 200
        finally:
            server.start()
        assert anyone.ended(meanwhile) == "COMPLETED"
        after = anyone.create(PHASE="RUN")
        assert anyone.ended(after) == "COMPLETED"
    for one in (before, executing, meanwhile, after):
        anyone.http.delete(one)


@pytest.mark.req("UWS-12")
@pytest.mark.parametrize("url", ["redis://127.0.0.1:port/0", "mqtt://127.0.0.1"])
def test_an_address_that_is_none_is_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="queue_url"):
        Queue(Settings(home=tmp_path, queue_url=url))


@pytest.mark.req("UWS-12")
def test_a_package_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match="cerro-services\\[redis\\]"):
        Queue(Settings(home=tmp_path, queue_url="redis://127.0.0.1/0"))
