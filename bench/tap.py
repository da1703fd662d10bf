"""How fast TAP answers: latency inside the handler and over HTTP, and the cost of each format.

On Tycho-2 of the trial data (2.5 million rows), or as many made-up stars where that is not at
hand. The machine should be quiet: the median of at least 30 answers is given, each to a query
that was not asked before.
"""

# ruff: noqa: S608 - the queries are made here, of numbers.

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from bench._serving import median_ms, published, served
from bench.release import SCHEMA, stars

REPEATS = 40
TABLE = "tycho2.Tycho2"
TEN = "ra, dec, pmRA, pmDE, BTmag, VTmag, e_BTmag, e_VTmag, n_obs, hip"


def run(workdir: Path) -> dict[str, float | str]:
    """Publish Tycho-2 and ask it."""
    figures: dict[str, float | str] = {}
    store = tycho2(workdir, figures)
    keys = _keys(store)
    figures |= _in_process(workdir, store, keys)
    with served(workdir, store) as url, httpx.Client(timeout=120) as client:
        figures |= _over_http(client, url, keys)
        figures["clients_8_cone_0.1deg_per_s"] = _eight(url)
    return figures


def _queries(keys: list[str]) -> dict[str, Callable[[int], str]]:
    def cone(columns: str, radius: float) -> Callable[[int], str]:
        return lambda i: (
            f"SELECT {columns} FROM {TABLE} WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), "
            f"CIRCLE('ICRS', {(i * 37.31 + 11) % 360}, {(i * 23.7) % 120 - 60}, {radius}))"
        )

    return {
        "top_1": lambda i: f"SELECT TOP 1 * FROM {TABLE} OFFSET {i}",
        "lookup_by_key": lambda i: f"SELECT * FROM {TABLE} WHERE tyc = '{keys[i]}'",
        "cone_0.1deg_all_columns": cone("*", 0.1),
        "cone_0.1deg_5_columns": cone("tyc, ra, dec, BTmag, VTmag", 0.1),
        "cone_1deg_10_columns": cone(TEN, 1.0),
        "polygon_2deg": lambda i: (
            f"SELECT ra, dec FROM {TABLE} WHERE 1 = CONTAINS(POINT(ra, dec), "
            f"POLYGON({i}, 10, {i + 2}, 10, {i + 2}, 12, {i}, 12))"
        ),
        "count": lambda i: f"SELECT COUNT(*) AS n{i} FROM {TABLE}",
        "group_by_full_scan": lambda i: (
            f"SELECT n_obs, COUNT(*) AS n{i}, AVG(VTmag) AS m FROM {TABLE} GROUP BY n_obs"
        ),
        "colour_cut_full_scan": lambda i: (
            f"SELECT COUNT(*) AS n FROM {TABLE} WHERE BTmag - VTmag > 1.{i:02d} AND VTmag < 11"
        ),
        "tap_schema": lambda i: (
            f"SELECT * FROM tap_schema.columns WHERE column_index > {i} - {REPEATS}"
        ),
    }


def _in_process(workdir: Path, store: Path, keys: list[str]) -> dict[str, float | str]:
    """Measure from the parameters to the document, without HTTP."""
    from cerro_services.access import PUBLIC
    from cerro_services.config import Settings
    from cerro_services.context import Context
    from cerro_services.logs import configure
    from cerro_services.parameters import Parameters
    from cerro_services.tap.answer import Answer
    from cerro_services.tap.question import Question
    from cerro_services.tap.views import Views

    settings = Settings(home=workdir / "home", releases=store)
    context, views = Context.build(settings), Views()
    # As the service does it, and not between the figures.
    log = (workdir / "handler.log").open("w")
    configure(stream=log)

    def ask(query: str) -> None:
        question = Question.read(Parameters({"QUERY": [query]}), None, settings)
        answer = Answer(context, views, question, PUBLIC)
        answer.begin()
        answer.close()

    figures: dict[str, float | str] = {}
    for name, query in _queries(keys).items():
        cpu = time.process_time()
        figures[f"handler_{name}_ms"] = median_ms(lambda i, q=query: ask(q(i)), REPEATS)  # type: ignore[misc]
        figures[f"handler_{name}_cpu_ms"] = (time.process_time() - cpu) / (REPEATS + 1) * 1e3
    context.engine.close()
    configure()
    log.close()
    return figures


def _over_http(client: httpx.Client, url: str, keys: list[str]) -> dict[str, float | str]:
    def ask(query: str, form: str = "votable") -> int:
        answer = client.post(url, data={"QUERY": query, "RESPONSEFORMAT": form})
        answer.raise_for_status()
        return len(answer.content)

    figures: dict[str, float | str] = {}
    for name, query in _queries(keys).items():
        figures[f"http_{name}_ms"] = median_ms(lambda i, q=query: ask(q(i)), REPEATS)  # type: ignore[misc]
    for form in ("votable", "votable/td", "csv", "parquet"):
        rows = 100_000
        name = f"http_100k_rows_{form.replace('/', '_')}_ms"
        query = f"SELECT TOP {rows} {TEN} FROM {TABLE} OFFSET "
        figures[name] = median_ms(lambda i, q=query, f=form: ask(f"{q}{i}", f), 7)  # type: ignore[misc]
    started = time.perf_counter()
    size = ask(f"SELECT TOP 1000000 {TEN} FROM {TABLE}")
    figures["http_1M_rows_binary2_s"] = time.perf_counter() - started
    figures["http_1M_rows_binary2_MB"] = size / 1e6
    return figures


def _eight(url: str, seconds: float = 5.0) -> float:
    """Give the cones a second that 8 clients get together, asking from another process."""
    code = (
        "import concurrent.futures as f, httpx, sys, time\n"
        f"url, until, query = {url!r}, time.time() + {seconds}, "
        '"SELECT tyc, ra, dec, VTmag FROM tycho2.Tycho2 WHERE 1 = '
        'CONTAINS(POINT(ra, dec), CIRCLE({}, {}, 0.1))"\n'
        "def work(k):\n"
        "    n = 0\n"
        "    with httpx.Client(timeout=60) as c:\n"
        "        while time.time() < until:\n"
        "            q = query.format((k * 45 + n * 0.7) % 360, n % 100 - 50)\n"
        "            c.post(url, data={'QUERY': q}).raise_for_status()\n"
        "            n += 1\n"
        "    return n\n"
        "with f.ThreadPoolExecutor(8) as pool:\n"
        "    print(sum(pool.map(work, range(8))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout) / seconds


def tycho2(workdir: Path, figures: dict[str, float | str]) -> Path:
    """Publish Tycho-2 in a scratch folder; give the store."""
    return published(workdir, "tycho2", SCHEMA, {"Tycho2": stars(workdir, figures)})


def _keys(store: Path) -> list[str]:
    from pyarrow import parquet

    from cerro_services.release import ReleaseStore

    files = ReleaseStore(store).open("tycho2").tables["Tycho2"].catalog.files
    column = parquet.read_table(files[0].path, columns=["tyc"])["tyc"]
    chosen = np.random.default_rng(3).integers(0, len(column), REPEATS + 1)
    return [str(column[int(i)].as_py()) for i in chosen]
