"""Data services with a tiny release, for tests that need no hub: real `cerro serve`, real Parquet.

In front stands a few lines of HTTP that know one token and pass everything else on, where the
platform has its proxy and its hub.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from tests.support.platform import CERRO, ROOT, environment, free_port
from tests.support.waiting import eventually

TOKEN = "token-of-ada"
ROWS = 300
SCHEMA = """\
name: tiny
"@id": "#tiny"
description: A release to try the client on.
tables:
- name: Star
  "@id": "#tiny.Star"
  description: Stars that nobody saw.
  primaryKey: "#tiny.Star.id"
  columns:
  - {name: id, "@id": "#tiny.Star.id", datatype: long, nullable: false, description: Identifier.,
     ivoa:ucd: meta.id;meta.main, tap:principal: 1}
  - {name: ra, "@id": "#tiny.Star.ra", datatype: double, nullable: false,
     description: Right ascension., ivoa:unit: deg, ivoa:ucd: pos.eq.ra;meta.main, tap:principal: 1}
  - {name: dec, "@id": "#tiny.Star.dec", datatype: double, nullable: false,
     description: Declination., ivoa:unit: deg, ivoa:ucd: pos.eq.dec;meta.main, tap:principal: 1}
  - {name: flux, "@id": "#tiny.Star.flux", datatype: float, description: Flux.,
     ivoa:unit: nJy, ivoa:ucd: phot.flux}
  - {name: visits, "@id": "#tiny.Star.visits", datatype: int, description: Number of visits.}
  - {name: kind, "@id": "#tiny.Star.kind", datatype: char, length: 16, description: Kind of star.}
  - {name: good, "@id": "#tiny.Star.good", datatype: boolean, description: Whether it is good.}
"""


_RUN_ALL = """\
import json, sys
from cerro.cli.main import main
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
"""


@dataclass(frozen=True)
class Serving:
    """Services that run.

    Parameters
    ----------
    url
        Address of the front door; ends in a slash.
    services_url
        Address of the services behind it.
    store
        The release store.
    """

    url: str
    services_url: str
    store: Path


def tiny_table() -> pa.Table:
    """Give the rows of ``tiny.Star``: some fluxes, visits and kinds are null."""
    random = np.random.default_rng(2)
    index = np.arange(ROWS)
    return pa.table(
        {
            "id": pa.array(index + 2**60, pa.int64()),
            "ra": pa.array(150 + random.uniform(-0.5, 0.5, ROWS)),
            "dec": pa.array(2 + random.uniform(-0.5, 0.5, ROWS)),
            "flux": pa.array(random.uniform(1, 1e5, ROWS).astype("f4"), mask=index % 7 == 0),
            "visits": pa.array(index.astype("i4"), mask=index % 5 == 0),
            "kind": pa.array(np.where(index % 2, "dwarf", "giant"), mask=index % 3 == 0),
            "good": pa.array(index % 2 == 0),
        }
    )


def publish_tiny(folder: Path) -> Path:
    """Publish the release ``tiny`` with the documented commands.

    Returns
    -------
    pathlib.Path
        The store.
    """
    store, schema, rows = folder / "releases", folder / "tiny.yaml", folder / "stars.parquet"
    schema.write_text(SCHEMA)
    pq.write_table(tiny_table(), rows)
    commands = [
        ["release", "create", "tiny", "--schema", str(schema), "--title", "A tiny <b>bold</b> one"],
        ["release", "ingest", "tiny", "Star", str(rows)],
        ["release", "publish", "tiny"],
    ]
    # One process for the three: each would import astropy and pyarrow anew.
    subprocess.run(
        [sys.executable, "-c", _RUN_ALL, json.dumps(commands)],
        env=environment(folder) | {"CERRO_RELEASES": str(store)},
        check=True,
        timeout=120,
    )
    return store


class _Front(BaseHTTPRequestHandler):
    """Knows the token of ``ada``; passes what is not the hub's on to the services."""

    protocol_version = "HTTP/1.1"
    services_url = ""

    def do_GET(self) -> None:
        if self.path != "/hub/api/user":
            self._pass_on()
        elif self.headers.get("Authorization", "").split()[-1:] == [TOKEN]:
            user = {
                "kind": "user",
                "name": "ada",
                "groups": [],
                "scopes": ["custom:read:tap", "read:users:name!user=ada"],
            }
            self._answer(200, json.dumps(user).encode(), "application/json")
        else:
            self._answer(403, b'{"status": 403, "message": "Forbidden"}', "application/json")

    def do_POST(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
        answer = requests.request(
            self.command,
            self.services_url + self.path.lstrip("/"),
            headers=kept | {"Accept-Encoding": "identity"},
            data=body,
            timeout=60,
            allow_redirects=False,
        )
        self._answer(answer.status_code, answer.content, answer.headers["Content-Type"])

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@contextlib.contextmanager
def serving(store: Path, home: Path, *, port: int | None = None) -> Iterator[Serving]:
    """Serve the releases of a store until the block ends.

    Parameters
    ----------
    store
        The release store.
    home
        A folder to use as CERRO_HOME.
    port
        Port of the services; a free one if not given.
    """
    port = port or free_port()
    services_url = f"http://127.0.0.1:{port}/"
    handler = type("Front", (_Front,), {"services_url": services_url})
    front = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{front.server_port}/"
    variables = environment(home) | {
        "CERRO_RELEASES": str(store),
        "CERRO_EXTERNAL_URL": url,
        "CERRO_HUB_API_URL": f"{url}hub/api",
    }
    log = home / "serve.log"
    thread = threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [*CERRO, "serve", "--port", str(port)],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"cerro serve ended:\n{log.read_text()}")
        return requests.get(f"{services_url}healthz", timeout=5).ok

    try:
        thread.start()
        eventually(ready, f"cerro serve answers (see {log})")
        yield Serving(url, services_url, store)
    finally:
        front.shutdown()
        front.server_close()
        process.terminate()
        process.wait(20)
