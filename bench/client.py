"""How long a person waits: for ``import cerro``, a first and a large answer, the home page."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from playwright.sync_api import Page
from tests.support.browsing import browser
from tests.support.platform import CERRO, environment, free_port
from tests.support.serving import Serving, serving
from tests.support.waiting import eventually

ROWS = 1_000_000
FIRST_QUERY = "import cerro; cerro.query('SELECT TOP 10 * FROM large.Row')"
LARGE_QUERY = "SELECT * FROM large.Row"


def run(workdir: Path) -> dict[str, float | str]:
    """Measure.

    Parameters
    ----------
    workdir
        A folder for the release that is made, of 1e6 rows and 10 columns.
    """
    figures: dict[str, float | str] = {
        "import cerro (s, median of 10)": _median(lambda: _python("import cerro"), 10),
        "cerro --help (s, median of 5)": _median(lambda: _command("--help"), 5),
    }
    with serving(_publish(workdir), workdir) as served:
        variables = environment(workdir) | {"CERRO_URL": served.url}
        first = _median(lambda: _python(FIRST_QUERY, variables), 5)
        figures["import and first query, new process (s, median of 5)"] = first
        figures |= _large(served)
        figures |= _home_page(workdir, served)
    return figures


def _median(action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 3)


def _python(code: str, variables: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)


def _command(*arguments: str) -> None:
    subprocess.run([*CERRO, *arguments], check=True, stdout=subprocess.DEVNULL)


def _publish(workdir: Path) -> Path:
    random = np.random.default_rng(1)
    columns = {
        "id": np.arange(ROWS),
        "ra": random.uniform(0, 360, ROWS),
        "dec": np.degrees(np.arcsin(random.uniform(-1, 1, ROWS))),
        **{f"flux{n}": random.uniform(0, 1e5, ROWS).astype("f4") for n in range(7)},
    }
    table, store = workdir / "rows.parquet", workdir / "releases"
    pq.write_table(pa.table(columns), table)
    schema = workdir / "large.yaml"
    position = ["--table", "Row", "--ra", "ra", "--dec", "dec", "--key", "id"]
    for command in (
        ["schema", "draft", str(table), "--name", "large", *position, "-o", str(schema)],
        ["create", "large", "--schema", str(schema), "--title", "Large", "--access", "public"],
        ["ingest", "large", "Row", str(table)],
        ["publish", "large"],
    ):
        subprocess.run(
            [*CERRO, "release", *command],
            env=environment(workdir) | {"CERRO_RELEASES": str(store)},
            check=True,
            capture_output=True,
        )
    return store


def _large(served: Serving) -> dict[str, float | str]:
    """Time a million rows of ten columns into an astropy table: ours, and pyvo's default path."""
    import os

    import pyvo

    import cerro

    os.environ["CERRO_URL"] = served.url
    ours = _median(lambda: cerro.query(LARGE_QUERY, maxrec=ROWS), 3)
    service = pyvo.dal.TAPService(f"{served.url}api/tap")
    start = time.perf_counter()
    service.run_sync(LARGE_QUERY, maxrec=ROWS).to_table()
    theirs = time.perf_counter() - start
    return {
        "1e6 rows of 10 columns, cerro.query (s, median of 3)": ours,
        "the same by pyvo (s)": round(theirs, 2),
        "times faster": round(theirs / ours, 1),
    }


def _home_page(workdir: Path, served: Serving) -> dict[str, float | str]:
    port = free_port()
    process = subprocess.Popen(
        [*CERRO, "portal", "--port", str(port)],
        env=environment(workdir) | {"CERRO_SERVICES_URL": served.services_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        eventually(lambda: requests.get(f"{address}healthz", timeout=5).ok, "the portal answers")
        with browser() as context:
            page = context.pages[0]
            paints = [_first_paint(page, address) for _ in range(11)]
    finally:
        process.terminate()
        process.wait(20)
    return {
        "home page, first contentful paint, cold (ms)": paints[0],
        "home page, first contentful paint, warm (ms, median of 10)": statistics.median(paints[1:]),
    }


def _first_paint(page: Page, address: str) -> float:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    found = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"
    )
    return round(float(found), 1)
