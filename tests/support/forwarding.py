"""A proxy that says for a program who asks: for those that only send a token when refused."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN = frozenset({"proxy-connection", "connection", "keep-alive", "transfer-encoding"})


class _Forward(BaseHTTPRequestHandler):
    """Hands each request on, with a token."""

    token: str

    def _forward(self) -> None:
        address = urlsplit(self.path)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OWN}
        headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(address.netloc, timeout=120)
        try:
            path = address.path + (f"?{address.query}" if address.query else "")
            connection.request(self.command, path, self._body(), headers)
            answer = connection.getresponse()
            body = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _OWN | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        finally:
            connection.close()

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _forward  # noqa: N815 - the base's names

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@contextlib.contextmanager
def forwarding(token: str) -> Iterator[int]:
    """Run the proxy until the block ends.

    Parameters
    ----------
    token
        Is sent with every request.

    Returns
    -------
    int
        Its port on the loopback interface.
    """
    handler = type("Forward", (_Forward,), {"token": token})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
