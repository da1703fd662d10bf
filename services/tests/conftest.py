"""What the tests of the services share: a published release, a hub that knows tokens, a server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pytest
import uvicorn
import yaml
from pyarrow import parquet

from cerro_services.adql import Catalogue, compile_query
from cerro_services.app import create_app
from cerro_services.config import Settings
from cerro_services.engine import DuckDBEngine, Limits
from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.publish import Publisher
from cerro_services.release.services import from_document
from cerro_services.tap.tapschema import view

ROWS = 30_000
TOKENS = {
    "good": {"name": "ada", "groups": [], "scopes": ["custom:read:tap"]},
    "member": {"name": "vera", "groups": ["data-rights"], "scopes": ["custom:read:tap"]},
    "writer": {
        "name": "grace",
        "groups": ["team"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "mate": {
        "name": "edwin",
        "groups": ["team"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "letters": {
        "name": "жук",
        "groups": ["группа"],
        "scopes": ["custom:read:tap", "custom:write:tables"],
    },
    "narrow": {"name": "ada", "groups": [], "scopes": ["read:users:name"]},
}

_SCHEMA = """\
name: sky
"@id": "#sky"
description: Objects & their <sources>.
tables:
- name: Object
  "@id": "#Object"
  description: Objects all over the sky.
  primaryKey: "#Object.objectId"
  columns:
  - {name: objectId, "@id": "#Object.objectId", datatype: long, nullable: false,
     description: Identifier, "ivoa:ucd": meta.id;meta.main, "tap:principal": 1}
  - {name: ra, "@id": "#Object.ra", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.ra;meta.main, "tap:principal": 1, description: Right ascension (ICRS)}
  - {name: dec, "@id": "#Object.dec", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.dec;meta.main, "tap:principal": 1, description: Declination (ICRS)}
  - {name: flux, "@id": "#Object.flux", datatype: float, "ivoa:unit": nJy, "ivoa:ucd": phot.flux,
     description: "Flux < 1e5 & more"}
  - {name: n, "@id": "#Object.n", datatype: int, description: A number}
  - {name: small, "@id": "#Object.small", datatype: short, description: A small number}
  - {name: kind, "@id": "#Object.kind", datatype: unicode, length: 16, description: What it is}
  - {name: good, "@id": "#Object.good", datatype: boolean, description: Whether it is good}
  - {name: seen, "@id": "#Object.seen", datatype: timestamp, description: When it was seen}
  - {name: size, "@id": "#Object.size", datatype: double, "ivoa:unit": arcsec,
     description: Size}
- name: Source
  "@id": "#Source"
  description: Measurements of objects.
  primaryKey: "#Source.sourceId"
  columns:
  - {name: sourceId, "@id": "#Source.sourceId", datatype: long, nullable: false}
  - {name: objectId, "@id": "#Source.objectId", datatype: long, nullable: false}
  - {name: ra, "@id": "#Source.ra", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.ra;meta.main}
  - {name: dec, "@id": "#Source.dec", datatype: double, nullable: false, "ivoa:unit": deg,
     "ivoa:ucd": pos.eq.dec;meta.main}
  - {name: mjd, "@id": "#Source.mjd", datatype: double, nullable: false, "ivoa:unit": d}
  constraints:
  - {name: source_object, "@id": "#source_object", "@type": ForeignKey,
     columns: ["#Source.objectId"], referencedColumns: ["#Object.objectId"]}
- name: Visit
  "@id": "#Visit"
  description: Exposures.
  primaryKey: "#Visit.visit"
  columns:
  - {name: visit, "@id": "#Visit.visit", datatype: long, nullable: false}
  - {name: band, "@id": "#Visit.band", datatype: char, length: 1}
- name: Secret
  "@id": "#Secret"
  description: Not for everyone.
  primaryKey: "#Secret.id"
  columns:
  - {name: id, "@id": "#Secret.id", datatype: long, nullable: false}
  - {name: word, "@id": "#Secret.word", datatype: char, length: 32}
"""


SERVICES = """\
- name: cutout
  table: Object
  description: An image <around> an object.
  standardID: ivo://ivoa.net/std/SODA#sync-1.0
  accessURL: "{base}/api/cutout"
  inputs:
  - {name: ID, column: objectId}
  - {name: POS, column: ra}
  - {name: RADIUS, value: 0.01, datatype: double, unit: deg, ucd: phys.angSize, description: Half}
- name: links
  table: Object
  standardID: ivo://ivoa.net/std/DataLink#links-1.1
  contentType: application/x-votable+xml;content=datalink
  accessURL: https://archive.example/links?release=sky
  inputs:
  - {name: ID, column: kind}
"""
"""What can be done with rows of ``sky.Object``, as release.yaml has it."""


def sky() -> dict[str, pa.Table]:
    """Give the rows of release ``sky``: all over it, dense at the poles and at ra = 0."""
    random = np.random.default_rng(7)
    ra = random.uniform(0, 360, ROWS)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, ROWS)))
    third = ROWS // 3
    ra[:third] = random.normal(0, 1.5, third) % 360
    dec[:third] = random.normal(0, 1.5, third)
    dec[third : third + 4000] = 90 - np.abs(random.normal(0, 1.5, 4000))
    dec[third + 4000 : third + 8000] = np.abs(random.normal(0, 1.5, 4000)) - 90
    index = np.arange(ROWS)
    kinds = np.array(["star", "galaxy", 'a, "b" & <c>', "é日本"])
    objects = pa.table(
        {
            "objectId": index + 2**60,
            "ra": ra,
            "dec": dec,
            "flux": pa.array(random.normal(100, 100, ROWS).astype("f4"), mask=index % 7 == 0),
            "n": pa.array((index % 10).astype("i4"), mask=index % 11 == 0),
            "small": (index % 5).astype("i2"),
            "kind": pa.array(kinds[index % 4], mask=index % 13 == 0),
            "good": pa.array(index % 2 == 0, mask=index % 17 == 0),
            "seen": pa.array(index * 1_500_000 + 1_600_000_000_000_000, pa.timestamp("us")),
            "size": random.uniform(0, 5, ROWS),
        }
    )
    sources = pa.table(
        {
            "sourceId": np.arange(2000),
            "objectId": index[:2000] // 2 + 2**60,
            "ra": ra[index[:2000] // 2],
            "dec": dec[index[:2000] // 2],
            "mjd": 60000.0 + np.arange(2000),
        }
    )
    visits = pa.table({"visit": np.arange(5), "band": ["g", "r", "i", "g", "r"]})
    secrets = pa.table({"id": [1, 2], "word": ["hidden", "deep"]})
    return {"Object": objects, "Source": sources, "Visit": visits, "Secret": secrets}


@pytest.fixture(scope="session")
def rows() -> dict[str, pa.Table]:
    """Give the rows that were published."""
    return sky()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, pa.Table]) -> ReleaseStore:
    """Publish ``sky``, whose table Secret is for a group, and ``closed``, all of which is."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "sky.yaml").write_text(_SCHEMA)
    (folder / "closed.yaml").write_text(
        "name: closed\n'@id': '#closed'\ntables:\n- name: T\n  '@id': '#T'\n  columns:\n"
        "  - {name: a, '@id': '#T.a', datatype: int}\n"
    )
    files = {}
    for name, table in {**rows, "T": pa.table({"a": pa.array([1, 2, 3], pa.int32())})}.items():
        files[name] = folder / f"{name}.parquet"
        parquet.write_table(table, files[name])
    made = ReleaseStore(folder / "releases")
    drafts, publisher = Drafts(made), Publisher(made)
    access = Access.from_document({"default": "public", "tables": {"Secret": ["data-rights"]}})
    links = from_document(yaml.safe_load(SERVICES))
    drafts.create(Description("sky", "The sky", access, services=links), folder / "sky.yaml")
    closed = Access.from_document(["data-rights"])
    drafts.create(Description("closed", "Closed", closed), folder / "closed.yaml")
    for name in rows:
        drafts.ingest("sky", name, [files[name]])
    drafts.ingest("closed", "T", [files["T"]])
    publisher.publish("sky")
    publisher.publish("closed")
    return made


@pytest.fixture(scope="session")
def engine(store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    """Give an engine over the published releases."""
    made = DuckDBEngine([store.root], Limits("500MB", 2, tmp_path_factory.mktemp("spill")))
    yield made
    made.close()


@pytest.fixture(scope="session")
def catalogue(store: ReleaseStore) -> Catalogue:
    """Give what the public may read."""
    return view(store.published(), frozenset()).catalogue


@pytest.fixture(scope="session")
def ask(engine: DuckDBEngine, catalogue: Catalogue) -> Callable[[str], pa.Table]:
    """Give a function that answers ADQL with an Arrow table named as the query names columns."""

    def answer(adql: str) -> pa.Table:
        query = compile_query(adql, catalogue)
        stream = engine.stream(query)
        try:
            schema = stream.begin()
            table = pa.Table.from_batches(list(stream), schema)
        finally:
            stream.close()
        return table.rename_columns([c.name for c in query.columns])

    return answer


class _Hub(BaseHTTPRequestHandler):
    """Says who owns a token, as JupyterHub's GET /user does."""

    asked: list[str]

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("token ")
        self.asked.append(token)
        owner = TOKENS.get(token)
        body = json.dumps(owner or {"status": 403, "message": "Forbidden"}).encode()
        self.send_response(200 if owner else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@dataclass(frozen=True)
class Served:
    """Services that answer.

    Parameters
    ----------
    url
        Their address, without a slash at the end.
    asked
        Tokens that the hub was asked about.
    settings
        What they were told.
    """

    url: str
    asked: list[str]
    settings: Settings

    @property
    def tap(self) -> str:
        """Address of TAP."""
        return f"{self.url}/api/tap"


def free_port() -> int:
    """Give a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def served(store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the published releases."""
    asked: list[str] = []
    hub = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"asked": asked}))
    threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        releases=store.root,
        external_url=url,
        hub_api_url=f"http://127.0.0.1:{hub.server_port}/hub/api",
        memory="500MB",
        threads=2,
    )
    with running(settings, port):
        yield Served(url, asked, settings)
    hub.shutdown()
    hub.server_close()


class running:  # noqa: N801 - reads as a verb where it is used
    """Serve until the block ends.

    Parameters
    ----------
    settings
        What the services are told.
    port
        Where to listen.
    """

    def __init__(self, settings: Settings, port: int) -> None:
        config = uvicorn.Config(
            create_app(settings), port=port, loop="uvloop", log_level="warning", server_header=False
        )
        self._server = uvicorn.Server(config)
        self._url = f"http://127.0.0.1:{port}/healthz"
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        until = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < until, "the services did not start"
            assert self._thread.is_alive(), "the services ended"
            threading.Event().wait(0.02)
        assert httpx.get(self._url, timeout=10).status_code == 200

    def __exit__(self, *args: object) -> None:
        self._server.should_exit = True
        self._thread.join(15)


class working:  # noqa: N801 - reads as a verb where it is used
    """Run a worker, `cerro work` in a process of its own, until the block ends.

    Parameters
    ----------
    settings
        What it is told.
    """

    def __init__(self, settings: Settings) -> None:
        told = settings.model_dump(mode="json", include=settings.model_fields_set)
        values = {f"CERRO_{name.upper()}": value for name, value in told.items() if value}
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
        }
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("CERRO_")} | texts
        self._log = settings.home / "worker.log"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> working:
        self.start()
        return self

    def start(self) -> None:
        """Start it, and wait until it runs jobs."""
        began = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cerro.cli.main", "work"],
                env=self._env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 60
        while b"jobs at once" not in self._log.read_bytes()[began:]:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, "the worker did not start"
            threading.Event().wait(0.05)

    def children(self) -> list[psutil.Process]:
        """Give its processes that run jobs: children of the one that copies itself for them."""
        starters = psutil.Process(self.process.pid).children()
        return [child for starter in starters for child in starter.children()]

    def kill(self) -> None:
        """Kill it, as a machine does that runs out of memory."""
        self.process.kill()
        self.process.wait(10)

    def __exit__(self, *args: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="session")
def worked(served: Served) -> Iterator[Served]:
    """Serve the published releases, with a worker that runs jobs."""
    with working(served.settings):
        yield served
