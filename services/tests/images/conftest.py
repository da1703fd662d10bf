"""Releases with images: ``pix``, open but for one dataset type, made from plain FITS files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from services.tests.images.pictures import FIELDS, write
from services.tests.serving import TOKENS, Hub, Served, running, working
from tests.support.platform import free_port

from cerro_services.config import Settings
from cerro_services.release import ReleaseStore
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.hips import Survey
from cerro_services.release.hips import build as hips
from cerro_services.release.obscore import build
from cerro_services.release.progress import Progress
from cerro_services.release.publish import Publisher

TOKENS["viewer"] = {
    "name": "vera",
    "groups": ["data-rights"],
    "scopes": ["custom:read:tap", "custom:read:image"],
}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> ReleaseStore:
    """Publish ``pix``, whose dataset type raw is for a group."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "pix.yaml").write_text(
        "name: pix\n'@id': '#pix'\ntables:\n- name: T\n  '@id': '#T'\n  columns:\n"
        "  - {name: a, '@id': '#T.a', datatype: int}\n"
    )
    store = ReleaseStore(folder / "releases")
    access = Access.from_document({"default": "public", "datasets": {"raw": ["data-rights"]}})
    Drafts(store).create(Description("pix", "Pictures", access), folder / "pix.yaml")
    for kind in sorted({field.kind for field in FIELDS}):
        files = folder / kind
        files.mkdir()
        for field in FIELDS:
            if field.kind == kind:
                write(files, field)
        draft = store.folder("pix", "draft")
        build(draft, "pix", Progress(), images=files, dataset_type=kind)
    for survey in (Survey("coadd", "g"), Survey("raw", "r", 8)):
        hips(store.folder("pix", "draft"), "pix", survey, Progress())
    Publisher(store).publish("pix", allow_empty=True)
    return store


@pytest.fixture(scope="session")
def gallery(pictures: ReleaseStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the pictures."""
    asked: list[str] = []
    hub = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (Hub,), {"asked": asked}))
    threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        releases=pictures.root,
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
def developed(gallery: Served) -> Iterator[Served]:
    """Serve the pictures, with a worker that runs jobs."""
    with working(gallery.settings):
        yield gallery
