"""What the tests of the services share: a published release, its engine, and its services."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from services.tests.answering import answered
from services.tests.serving import Hub, Served, running, working
from services.tests.sky import SCHEMA, SERVICES, sky
from tests.support.platform import free_port

from cerro_services.adql import Catalogue, compile_query
from cerro_services.config import Settings
from cerro_services.engine import DuckDBEngine, Limits
from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.publish import Publisher
from cerro_services.release.services import from_document
from cerro_services.tap.tapschema import view


@pytest.fixture(scope="session")
def rows() -> dict[str, pa.Table]:
    """Give the rows that were published."""
    return sky()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, pa.Table]) -> ReleaseStore:
    """Publish ``sky``, whose table Secret is for a group, and ``closed``, all of which is."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "sky.yaml").write_text(SCHEMA)
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
        return answered(engine, compile_query(adql, catalogue))

    return answer


@pytest.fixture(scope="session")
def served(store: ReleaseStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the published releases."""
    asked: list[str] = []
    hub = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (Hub,), {"asked": asked}))
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


@pytest.fixture(scope="session")
def worked(served: Served) -> Iterator[Served]:
    """Serve the published releases, with a worker that runs jobs."""
    with working(served.settings):
        yield served
