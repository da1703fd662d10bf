"""Uploads by URL: fetched from where the operator allows, and from nowhere within."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cerro_services.uploads import (
    Upload,
    UploadError,
    UploadLimits,
    UploadTooLargeError,
)
from cerro_services.uploads.fetch import fetch, is_public


@pytest.mark.req("UPL-3")
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("192.168.0.1", False), ("172.16.0.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.0", False),  # noqa: S104
         ("224.0.0.1", False), ("255.255.255.255", False),
        ("::1", False), ("::", False), ("fe80::1%eth0", False), ("fc00::1", False),
        ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False), ("64:ff9b::a9fe:a9fe", False),
        ("::127.0.0.1", False),
    ],
)  # fmt: skip
def test_inner_addresses_are_known_in_every_dress(address: str, public: bool) -> None:
    assert is_public(address) is public


class _Origin(BaseHTTPRequestHandler):
    """Serves a table, redirects, and more than one asked for."""

    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers.items()))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        body = b"a,b\n1,x\n" if self.path == "/t.csv" else b"x" * 3_000_000
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Type", "text/csv")
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def origin() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Serve on loopback; give the port, and the headers that were sent."""
    seen: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Origin", (_Origin,), {"seen": seen}))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port, seen
    server.shutdown()
    server.server_close()


@pytest.mark.req("UPL-3")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}/t.csv", "http://localhost:{}/t.csv", "http://[::1]:{}/t.csv",
        "http://0.0.0.0:{}/t.csv", "http://2130706433:{}/t.csv", "http://0x7f.1:{}/t.csv",
        "http://127.1:{}/t.csv", "http://017700000001:{}/t.csv",
        "http://[::ffff:127.0.0.1]:{}/t.csv", "http://169.254.169.254/latest/meta-data",
        "http://user:word@127.0.0.1:{}/t.csv", "file:///etc/passwd", "gopher://127.0.0.1:{}/",
        "http://127.0.0.1:99999/", "http:///t", "//127.0.0.1/t", "http://\x00/",
    ],
)  # fmt: skip
def test_nothing_is_fetched_from_within(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]], url: str
) -> None:
    port, seen = origin
    before = len(seen)
    with pytest.raises(UploadError):
        asyncio.run(fetch("t", url.format(port), tmp_path / "t", UploadLimits(), 1000))
    assert len(seen) == before


@pytest.mark.req("UPL-3")
def test_what_the_operator_lists_is_fetched_and_nothing_around_it(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]]
) -> None:
    port, seen = origin
    limits = UploadLimits(hosts=(f"localhost:{port}",))

    def got(path: str, most: int = 10_000) -> Upload:
        url = f"http://localhost:{port}{path}"
        return asyncio.run(fetch("t", url, tmp_path / "t", limits, most))

    upload = got("/t.csv")
    assert upload.path.read_bytes() == b"a,b\n1,x\n"
    assert upload.filename == "t.csv"
    assert not {"authorization", "cookie", "referer"} & {name.lower() for name in seen[-1]}
    assert seen[-1]["Host"] == f"localhost:{port}"
    assert got(f"/to/http://localhost:{port}/t.csv").path.read_bytes() == b"a,b\n1,x\n"
    for away in (f"http://127.0.0.1:{port}/t.csv", "file:///etc/passwd", f"/to//to/{'/to/' * 9}x"):
        with pytest.raises(UploadError):
            got(f"/to/{away}")
    with pytest.raises(UploadError, match="status 404"):
        got("/none")
    for endless in ("/long", "/endless"):
        with pytest.raises(UploadTooLargeError):
            got(endless)


@pytest.mark.req("UPL-3")
def test_a_host_that_answers_differently_the_second_time_gains_nothing(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # DNS rebinding: public while it is checked, loopback when the connection is made.
    port, seen = origin
    asked: list[str] = []
    original = socket.getaddrinfo

    def rebinding(host: str, *args: object, **more: object) -> object:
        if host != "rebinding.example":
            return original(host, *args, **more)
        asked.append(host)
        address = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    before = len(seen)
    limits = UploadLimits(hosts=("*",), seconds=1.0)
    with pytest.raises(UploadError):
        asyncio.run(
            fetch("t", f"http://rebinding.example:{port}/t.csv", tmp_path / "t", limits, 1000)
        )
    assert len(seen) == before
    assert len(asked) == 1


@pytest.mark.req("UPL-3")
async def test_hosts_that_say_nothing_keep_no_other_caller_waiting(
    tmp_path: Path, origin: tuple[int, list[dict[str, str]]]
) -> None:
    port, _ = origin
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}/t.csv"

        def fetching(owner: str, url: str, number: int) -> asyncio.Task[Upload]:
            limits = UploadLimits(hosts=("127.0.0.1",), owner=owner)
            return asyncio.create_task(fetch("t", url, tmp_path / str(number), limits, 1000))

        waiting = [fetching("ada", slow, n) for n in range(12)]
        waiting += [fetching("", slow, 20 + n) for n in range(12)]
        async with asyncio.timeout(30):
            found = await fetching("vera", f"http://127.0.0.1:{port}/t.csv", 40)
        assert found.path.read_bytes() == b"a,b\n1,x\n"
        assert not any(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
