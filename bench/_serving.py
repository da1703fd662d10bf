"""A release published, served and worked on for a measurement, by the commands that people run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.support.platform import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
ENDED = {"COMPLETED", "ERROR", "ABORTED"}
"""Phases in which a job has ended."""
_CERRO = [sys.executable, "-m", "cerro.cli.main"]


def published(workdir: Path, name: str, schema: Path, tables: dict[str, Path]) -> Path:
    """Publish a release.

    Parameters
    ----------
    workdir
        A scratch folder.
    name
        Of the release.
    schema
        Its model, in Felis.
    tables
        Name of each table, to its rows.

    Returns
    -------
    Path
        The store.
    """
    store = workdir / "releases"
    commands = [
        ("create", name, "--schema", str(schema), "--title", name.title()),
        *(("ingest", name, table, str(rows)) for table, rows in tables.items()),
        ("publish", name),
    ]
    for command in commands:
        subprocess.run(
            [*_CERRO, "release", *command, "--store", str(store)],
            check=True,
            cwd=workdir,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return store


@contextmanager
def served(workdir: Path, store: Path) -> Iterator[str]:
    """Serve a store with `cerro serve`; give the address of its synchronous queries.

    Parameters
    ----------
    workdir
        A scratch folder, for its home.
    store
        The releases.
    """
    port = free_port()
    with _running(workdir, store, "serve", "--port", str(port)):
        healthy = f"http://127.0.0.1:{port}/healthz"
        eventually(lambda: httpx.get(healthy).is_success, "the services answer")
        yield f"http://127.0.0.1:{port}/api/tap/sync"


@contextmanager
def working(workdir: Path, store: Path) -> Iterator[None]:
    """Run jobs with `cerro work`.

    Parameters
    ----------
    workdir, store
        As of `served`.
    """
    with _running(workdir, store, "work") as log:
        eventually(lambda: b"jobs at once" in log.read_bytes(), "the worker runs")
        yield


@contextmanager
def _running(workdir: Path, store: Path, *command: str) -> Iterator[Path]:
    """Run a process of the platform until the block ends; give its log."""
    environment = {**os.environ, "CERRO_HOME": str(workdir / "home"), "CERRO_RELEASES": str(store)}
    log = workdir / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_CERRO, *command], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(20)


def polled(phase: Callable[[], str]) -> str:
    """Ask for a job's phase every 10 ms until it has ended, and give it.

    A real wait is a parameter of UWS 1.1; but this is how clients of UWS 1.0 follow a job, and how
    servers are compared with each other, so that it is what is measured.

    Parameters
    ----------
    phase
        Asks for it.

    Raises
    ------
    TimeoutError
        The job does not end within a minute.
    """
    until = time.monotonic() + 60
    while (found := phase()) not in ENDED:
        if time.monotonic() > until:
            raise TimeoutError(f"a job is {found} for a minute")
        time.sleep(0.01)
    return found


def median_ms(ask: Callable[[int], object], repeats: int) -> float:
    """Give the median time of an action, after one that is not counted [ms].

    Parameters
    ----------
    ask
        The action; called with 0 first, then with 1 to ``repeats``.
    repeats
        How often it is timed.
    """
    ask(0)
    taken = []
    for i in range(1, repeats + 1):
        started = time.perf_counter()
        ask(i)
        taken.append((time.perf_counter() - started) * 1e3)
    return statistics.median(taken)
