"""Jobs in PostgreSQL, messages in it too; and what happens while it is away."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.tests.serving import Served, running, working
from services.tests.uws.client import HEAVY, Client
from tests.support.platform import free_port
from tests.support.waiting import eventually

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
PATH = os.pathsep.join([*map(str, FOLDERS), os.environ.get("PATH", "")])


class Cluster:
    """A PostgreSQL of its own.

    Parameters
    ----------
    folder
        Where its files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._control = shutil.which("pg_ctl", path=PATH)
        if self._control is None:
            pytest.skip("PostgreSQL is not installed")
        self._folder = folder
        self._port = free_port()
        # It refuses to run as root.
        self._account = "postgres" if os.geteuid() == 0 else None
        if self._account is not None:
            shutil.chown(folder, self._account)
        self._run("initdb", "-o", "--auth=trust --username=cerro --no-sync")

    @property
    def url(self) -> str:
        """Its address."""
        return f"postgresql+psycopg://cerro@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c fsync=off "
        options += f"-c unix_socket_directories={self._folder}"
        self._run("start", "-w", "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it as if the machine had lost its power."""
        self._run("stop", "-w", "-m", "immediate")

    def _run(self, *arguments: str) -> None:
        assert self._control is not None
        data = str(self._folder / "data")
        done = subprocess.run(
            [self._control, *arguments, "-D", data], user=self._account, cwd=self._folder,
            capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Below /tmp and not where the tests' own folders are, which no other account may enter.
    folder = Path(f"/tmp/cerro-postgres-{getpass.getuser()}-{os.getpid()}")
    folder.mkdir(mode=0o700)
    try:
        made = Cluster(folder)
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def anyone(
    served: Served, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("postgres")
    alone = served.beside(home, job_processes=1, database=cluster.url)
    with running(alone.settings, alone.port), working(alone.settings):
        yield Client(alone)


@pytest.mark.req("UWS-12")
def test_jobs_run_by_way_of_postgresql(anyone: Client) -> None:
    anyone.passes(anyone.create(PHASE="RUN"), HEAVY)


@pytest.mark.req("UWS-12")
def test_a_database_that_was_away_is_told_and_all_goes_on(anyone: Client, cluster: Cluster) -> None:
    pending = anyone.create()
    executing = anyone.create(HEAVY, EXECUTIONDURATION="3")
    anyone.running(executing)
    cluster.stop()
    try:
        away = anyone.get(pending)
        assert away.status_code == 503
        assert "database" in away.text
        assert "Traceback" not in away.text
        assert away.headers["retry-after"]
        assert anyone.http.post(anyone.list, data={"QUERY": "SELECT"}).status_code == 503
        sync = anyone.list.replace("async", "sync")
        query = {"LANG": "ADQL", "QUERY": "SELECT TOP 1 visit FROM sky.Visit"}
        assert anyone.get(sync, **query).status_code == 200, "other queries are answered"
    finally:
        cluster.start()
    eventually(lambda: anyone.get(pending).status_code == 200)
    assert anyone.ended(executing) == "ABORTED", "its end was noted when the database was back"
    anyone.post(f"{pending}/phase", PHASE="RUN")
    assert anyone.ended(pending) == "COMPLETED"
    for one in (pending, executing):
        anyone.http.delete(one)
