"""Uploads that are too much, and forms that are cut short: refused before they are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cerro_services.parameters import Parameters, Part
from cerro_services.uploads import (
    UploadLimits,
    UploadTooLargeError,
    receive,
)

from .serving import Served, running


@pytest.mark.req("UPL-5")
def test_uploads_together_are_bounded(tmp_path: Path) -> None:
    parts = []
    for name in ("a", "b"):
        path = tmp_path / name
        path.write_bytes(b"x" * 600)
        parts.append(Part(name, path, 600))
    parameters = Parameters({"UPLOAD": ["a,param:a;b,param:b"]}, tuple(parts))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UploadTooLargeError, match="more than 1,000 bytes"):
        asyncio.run(receive(parameters, tmp_path / "folder", UploadLimits(total=1000)))


@pytest.fixture(scope="module")
def narrow(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Serve with little room for uploads."""
    home, quotas = tmp_path_factory.mktemp("narrow"), {"public": {"upload_bytes": 3_000_000}}
    beside = served.beside(home, memory="200MB", threads=1, quotas=quotas)
    with (
        running(beside.settings, beside.port),
        httpx.Client(base_url=f"{beside.tap}/", timeout=60) as client,
    ):
        yield client
    uploads = beside.settings.uploads
    assert uploads is not None
    assert list(uploads.iterdir()) == []


@pytest.mark.req("UPL-5")
@pytest.mark.parametrize("told", [True, False])
def test_an_upload_beyond_the_limit_is_refused_before_it_is_kept(
    narrow: httpx.Client, told: bool
) -> None:
    boundary = "frontier"
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=UPLOAD\r\n\r\nt,param:t\r\n"
        f"--{boundary}\r\nContent-Disposition: form-data; name=QUERY\r\n\r\n"
        f"SELECT * FROM TAP_UPLOAD.t\r\n--{boundary}\r\n"
        'Content-Disposition: form-data; name="t"; filename="t.csv"\r\n\r\na\n'
    ).encode()
    pieces, piece = 4000, b"1\n" * 32_768
    size = len(head) + pieces * len(piece)

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(pieces):
            yield piece

    process = psutil.Process()
    before = process.memory_info().rss
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if told:
        headers["Content-Length"] = str(size)
    answer = narrow.post("sync", content=body(), headers=headers)
    assert answer.status_code == 413
    assert "at most" in answer.text or "all that you may send" in answer.text
    assert process.memory_info().rss - before < 60_000_000


@pytest.mark.req("UPL-5")
def test_a_form_that_is_cut_short_or_no_form_is_refused(narrow: httpx.Client) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\nabc',
        b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
        b"nothing of the kind",
        b"--x\r\n" + b"h: v\r\n" * 50 + b"\r\n\r\n--x--",
    ):
        answer = narrow.post("sync", content=body, headers=headers)
        assert answer.status_code == 400
        assert "form" in answer.text.lower()
    no_boundary = narrow.post("sync", content=b"", headers={"Content-Type": "multipart/form-data"})
    assert no_boundary.status_code == 400
