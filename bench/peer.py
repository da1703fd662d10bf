"""Cerro against another TAP server with the same table: latency, and requests of eight clients.

A million made-up stars (those of CERRO_PEER_DATA, a Parquet file with the columns of
``schema/bench.yaml``, or as many made here) are published and served. Where a peer answers at
CERRO_PEER (by default http://127.0.0.1:8380/tap, the DaCHS of the trial's recipe) with the table
CERRO_PEER_TABLE (bench.cat), it is asked the same at the same time, request by request in turn, so
that both have the machine as it is. Each request has a connection of its own: the peer is slower
without. The ratio is the peer's median by ours; of requests a second, ours by the peer's.
"""

# ruff: noqa: S608 - the queries are made here, of numbers.

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urljoin

import numpy as np
import pyarrow as pa
import urllib3
from pyarrow import parquet

from bench._serving import polled, published, served, working

STARS, REPEATS, CLIENTS, SECONDS = 1_000_000, 40, 8, 15.0
BINARY2 = "application/x-votable+xml;serialization=binary2"
SCHEMA = Path(__file__).parent / "schema/bench.yaml"
ASKED = {
    "top_1": 5.0,
    "cone_1deg": 4.0,
    "group_by_scan": 5.0,
    "100k_rows_binary2": 10.0,
    "upload_crossmatch_1000": 5.0,
    "async_trivial": 20.0,
    f"clients_{CLIENTS}_cone_0.1deg": 10.0,
}
"""How many times faster than the peer each is asked to be."""


class Server:
    """One TAP server.

    Parameters
    ----------
    url
        Its TAP address.
    table
        The table, with its schema.
    """

    def __init__(self, url: str, table: str) -> None:
        self.url, self.table = url.rstrip("/"), table
        # httpx would take longer to begin than we to answer.
        self._pool = urllib3.PoolManager(headers={"Connection": "close"}, timeout=120)

    def ask(self, query: str, **more: str) -> bytes:
        """Give the document of a synchronous query."""
        form = {"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": query, **more}
        return _good(self._pool.request("GET", f"{self.url}/sync?{urlencode(form)}"))

    def match(self, query: str, upload: bytes) -> bytes:
        """Give the document of a query with a table u."""
        form = {
            "LANG": "ADQL", "REQUEST": "doQuery", "QUERY": query, "UPLOAD": "u,param:u",
            "u": ("u.vot", upload, "application/x-votable+xml"),
        }  # fmt: skip
        return _good(self._pool.request("POST", f"{self.url}/sync", fields=form))

    def job(self, query: str) -> bytes:
        """Give the result of a job, from its creation to its end, as pyvo does it."""
        form = {"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": query}
        made = self._post("/async", form)
        job = urljoin(f"{self.url}/async", made.headers["location"])
        self._pool.request(
            "POST", f"{job}/phase", fields={"PHASE": "RUN"}, encode_multipart=False, redirect=False
        )
        phase = polled(lambda: self._pool.request("GET", f"{job}/phase").data.decode().strip())
        if phase != "COMPLETED":
            raise RuntimeError(f"{job}: {phase}")
        return _good(self._pool.request("GET", f"{job}/results/result"))

    def _post(self, path: str, form: dict[str, str]) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST", self.url + path, fields=form, encode_multipart=False, redirect=False
        )


def run(workdir: Path) -> dict[str, float | str]:
    """Publish the table, and ask both servers."""
    data = _data(workdir)
    peer = Server(
        os.environ.get("CERRO_PEER", "http://127.0.0.1:8380/tap"),
        os.environ.get("CERRO_PEER_TABLE", "bench.cat"),
    )
    figures: dict[str, float | str] = {}
    store = published(workdir, "bench", SCHEMA, {"cat": data})
    with served(workdir, store) as url, working(workdir, store):
        ours = Server(url.removesuffix("/sync"), "bench.cat")
        servers = {"ours": ours, "peer": peer} if _answers(peer) else {"ours": ours}
        if len(servers) == 1:
            figures["peer"] = "none answers"
        for name, ask in _requests(data).items():
            found = _in_turn(servers, ask)
            figures |= {f"{name}_{who}_ms": value for who, value in found.items()}
            if "peer" in found:
                _compare(figures, name, found["peer"] / found["ours"])
        rates = {who: _eight(server) for who, server in servers.items()}
        name = f"clients_{CLIENTS}_cone_0.1deg"
        figures |= {f"{name}_{who}_per_s": value for who, value in rates.items()}
        if "peer" in rates:
            _compare(figures, name, rates["ours"] / rates["peer"])
    return figures


def _compare(figures: dict[str, float | str], name: str, ratio: float) -> None:
    asked = ASKED.get(name)
    wanted = f" (asked: {asked:g})" if asked else ""
    figures[f"{name}_times_faster"] = f"{ratio:.1f}{wanted}"


def _requests(data: Path) -> dict[str, Callable[[Server, int], bytes]]:
    rows = parquet.read_table(data, columns=["objectid", "ra", "dec"])
    ids = rows["objectid"].to_numpy()
    upload = _upload(rows)
    rng = np.random.default_rng(7)
    lon = rng.uniform(0, 360, 1000)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 1000)))

    def cone(server: Server, i: int, radius: float) -> bytes:
        return server.ask(
            f"SELECT objectid, ra, dec, g_mag FROM {server.table} WHERE 1 = CONTAINS("
            f"POINT('ICRS', ra, dec), CIRCLE('ICRS', {lon[i]:.6f}, {lat[i]:.6f}, {radius}))"
        )

    return {
        "top_1": lambda s, _: s.ask(f"SELECT TOP 1 objectid, ra, dec FROM {s.table}"),
        "object_by_id": lambda s, i: s.ask(
            f"SELECT * FROM {s.table} WHERE objectid = {ids[i * 7919 % len(ids)]}"
        ),
        "cone_0.1deg": lambda s, i: cone(s, i, 0.1),
        "cone_1deg": lambda s, i: cone(s, i, 1.0),
        "group_by_scan": lambda s, _: s.ask(
            "SELECT quality, COUNT(*) AS n, AVG(g_mag) AS m, MIN(parallax) AS lo, "
            f"MAX(pmra) AS hi FROM {s.table} GROUP BY quality"
        ),
        "100k_rows_binary2": lambda s, _: s.ask(
            f"SELECT TOP 100000 * FROM {s.table}", RESPONSEFORMAT=BINARY2, MAXREC="200000"
        ),
        "upload_crossmatch_1000": lambda s, _: s.match(
            f"SELECT u.sid, c.objectid FROM TAP_UPLOAD.u AS u JOIN {s.table} AS c ON 1 = CONTAINS("
            "POINT('ICRS', c.ra, c.dec), CIRCLE('ICRS', u.ra, u.dec, 0.0002777777777777778))",
            upload,
        ),
        "async_trivial": lambda s, _: s.job(f"SELECT TOP 1 objectid FROM {s.table}"),
    }


def _in_turn(servers: dict[str, Server], ask: Callable[[Server, int], bytes]) -> dict[str, float]:
    taken: dict[str, list[float]] = {who: [] for who in servers}
    try:
        for i in range(REPEATS + 3):
            for who, server in servers.items():
                started = time.perf_counter()
                ask(server, i)
                taken[who].append((time.perf_counter() - started) * 1e3)
    except (RuntimeError, urllib3.exceptions.HTTPError, KeyError) as error:
        print(f"not measured: {error}", file=sys.stderr)
    return {who: statistics.median(t[3:]) for who, t in taken.items() if len(t) > 3}


def _eight(server: Server) -> float:
    """Give the cones a second that the clients get together, asking from another process."""
    code = (
        "import json, sys, threading, time, urllib.parse, urllib3\n"
        "url, table, clients, seconds = json.loads(sys.argv[1])\n"
        "pool = urllib3.PoolManager(maxsize=clients, headers={'Connection': 'close'})\n"
        "until, counts = time.time() + seconds, [0] * clients\n"
        "def work(k):\n"
        "    while time.time() < until:\n"
        "        n = counts[k]\n"
        '        query = (f"SELECT objectid, ra, dec, g_mag FROM {table} WHERE 1=CONTAINS("\n'
        "            f\"POINT('ICRS',ra,dec),CIRCLE('ICRS',{(k * 45 + n * 0.7) % 360:.4f},\"\n"
        '            f"{n * 0.37 % 120 - 60:.4f},0.1))")\n'
        "        form = {'LANG': 'ADQL', 'REQUEST': 'doQuery', 'QUERY': query}\n"
        "        got = pool.request('GET', url + '/sync?' + urllib.parse.urlencode(form))\n"
        "        assert got.status == 200 and b'ERROR' not in got.data[:2000], got.data\n"
        "        counts[k] += 1\n"
        "threads = [threading.Thread(target=work, args=(k,)) for k in range(clients)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(sum(counts))\n"
    )
    told = json.dumps([server.url, server.table, CLIENTS, SECONDS])
    done = subprocess.run(
        [sys.executable, "-c", code, told], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout) / SECONDS


def _answers(server: Server) -> bool:
    try:
        server.ask(f"SELECT TOP 1 objectid FROM {server.table}")
    except (urllib3.exceptions.HTTPError, RuntimeError):
        return False
    return True


def _good(answer: urllib3.BaseHTTPResponse) -> bytes:
    head = answer.data[:2000]
    if answer.status != 200 or b'value="ERROR"' in head or b"value='ERROR'" in head:
        raise RuntimeError(f"{answer.status}: {head[:500]!r}")
    return answer.data


def _upload(rows: pa.Table) -> bytes:
    rng = np.random.default_rng(3)
    chosen = rng.choice(rows.num_rows, 700, replace=False)
    lon = np.concatenate((rows["ra"].to_numpy()[chosen], rng.uniform(0, 360, 300)))
    lat = np.concatenate((rows["dec"].to_numpy()[chosen], rng.uniform(-89, 89, 300)))
    cells = "".join(
        f"<TR><TD>{i}</TD><TD>{x!r}</TD><TD>{y!r}</TD></TR>"
        for i, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
    )
    return (
        '<?xml version="1.0"?><VOTABLE version="1.3" '
        'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        '<FIELD name="sid" datatype="int"/><FIELD name="ra" datatype="double" unit="deg"/>'
        '<FIELD name="dec" datatype="double" unit="deg"/>'
        f"<DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()


def _data(workdir: Path) -> Path:
    given = os.environ.get("CERRO_PEER_DATA")
    if given:
        return Path(given)
    rng = np.random.default_rng(20240101)
    red = (24.5 - rng.exponential(1.8, STARS)).astype(np.float32)
    columns: dict[str, object] = {
        "objectid": rng.permutation(STARS).astype(np.int64) + 10**12,
        "ra": rng.uniform(0, 360, STARS),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, STARS))),
    }
    for name in ("g_mag", "r_mag", "i_mag", "z_mag"):
        columns[name] = red + rng.normal(0, 0.5, STARS).astype(np.float32)
    for name in ("g_err", "r_err", "i_err", "parallax", "pmra", "pmdec"):
        columns[name] = rng.normal(0, 1, STARS).astype(np.float32)
    for name, most in (("flag_star", 2), ("flag_var", 2), ("quality", 8)):
        columns[name] = rng.integers(0, most, STARS).astype(np.int16)
    path = workdir / "cat.parquet"
    parquet.write_table(pa.table(columns), path)
    return path
