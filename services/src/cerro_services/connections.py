"""Connections within bounds: uvicorn reads a request's head however long, and waits for ever.

A head is what comes before the body: address and headers. The front door has limits of its own;
these hold for whoever reaches the services without it.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 64 << 10
"""Bytes of a head at most. A longer query is sent as a form."""
HEAD_SECONDS = 30.0
"""Seconds in which a head must have come."""
BODY_SECONDS = 120.0
"""Seconds that may pass between two pieces of a body."""
_LOOK = 5.0
_SPARE = 256
"""Files that are left for queries when no more connections are taken."""
_TOO_LONG = (
    f"The address and headers of a request have {HEAD_BYTES >> 10} kB at most. "
    "Send a long query as a form, with POST.\n"
)
_TOO_SLOW = "The request did not come in time.\n"
_TOO_MANY = "Too many connections are open. Try again in a few seconds.\n"
_PHRASES = {408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class TooLongError(Exception):
    """The head of a request is too long."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection; parameters as uvicorn gives them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._head = 0
        self._too_long = False
        self._since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless too many others have."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self._refuse(503, _TOO_MANY)
            return
        self._timer = self.loop.call_later(_LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self.transport.is_closing():
            return
        if self._in_head:
            if not self._head:
                self._since = self.loop.time()
            self._head += len(data)
        else:
            self._since = self.loop.time()
        super().data_received(data)
        if self._in_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, _TOO_LONG)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too long."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES:
            # Whatever of it came at once.
            self._too_long = True
            raise TooLongError
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Be ready for the next request."""
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Tell what is wrong with a request that cannot be read."""
        if self._too_long:
            self._refuse(431, _TOO_LONG)
        else:
            super().send_400_response(msg)

    def _refuse(self, status: int, text: str) -> None:
        line = STATUS_LINE[status]
        if status in _PHRASES:
            line = b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES[status])
        head = (
            "content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
            f"content-length: {len(text)}\r\nretry-after: 5\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(line + head.encode() + text.encode())
        self.transport.close()

    def _look(self) -> None:
        """Close the connection if its client keeps it without using it."""
        self._timer = None
        if self.transport.is_closing():
            return
        waited = self.loop.time() - self._since
        if self._in_head:
            # Between two requests uvicorn's own timer runs.
            fresh = self.cycle is None
            if (fresh or self._head) and waited > HEAD_SECONDS:
                self._refuse(408, _TOO_SLOW)
                return
        elif waited > BODY_SECONDS and not self.flow.read_paused:
            # Its request is told that the client has left.
            self.transport.close()
            return
        self._timer = self.loop.call_later(_LOOK, self._look)


def more_files() -> None:
    """Let this process have as many files and connections open as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def most_connections() -> int:
    """Give how many connections may be open, so that files can be opened still."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(64, soft - _SPARE) if soft != resource.RLIM_INFINITY else 1 << 20
