"""gzip for those who ask for it, without holding back the first rows.

Starlette's own middleware gathers what it compresses, so that a stream's first rows wait for later
ones, and compresses what hardly shrinks: the base64 of BINARY2 costs much and gains a quarter.
"""

from __future__ import annotations

import asyncio
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEAST = 1000
"""Bytes below which a response is sent as it is."""
_LARGE = 1 << 16
"""Bytes that are compressed in a thread, so that others need not wait."""
_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS
_ALWAYS = ("text/", "application/json", "application/xhtml+xml", "serialization=tabledata")
_SMALL = ("application/x-votable+xml", "application/xml")
"""Types that are compressed always, and only while they are small."""


class Compression:
    """Compresses responses of text.

    Parameters
    ----------
    app
        What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress the response, if the client takes it so and it gains."""
        if scope["type"] != "http" or not _accepted(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Compressing(send))


class _Compressing:
    """Sends one response, compressed if it may be."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._packer: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start:
            start, self._start = self._start, {}
            self._begin(start, body, more=more)
            await self._send(start)
        if self._packer is not None:
            if len(body) < _LARGE:
                body = self._packed(body, more=more)
            else:
                body = await asyncio.to_thread(self._packed, body, more=more)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _begin(self, start: Message, body: bytes, *, more: bool) -> None:
        headers = MutableHeaders(scope=start)
        kind = headers.get("content-type", "").lower()
        fits = any(part in kind for part in _ALWAYS) or (not more and kind.startswith(_SMALL))
        if not fits:
            return
        headers.add_vary_header("Accept-Encoding")
        ranged = "accept-ranges" in headers or "content-range" in headers
        if ranged or "content-encoding" in headers or (not more and len(body) < _LEAST):
            return
        headers["Content-Encoding"] = "gzip"
        del headers["content-length"]
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def _packed(self, body: bytes, *, more: bool) -> bytes:
        assert self._packer is not None
        packed = self._packer.compress(body)
        # Whoever reads a stream gets each piece whole, as if it were not compressed.
        return packed + self._packer.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)


def _accepted(headers: Headers) -> bool:
    """Whether the client takes gzip (RFC 9110 §12.5.3)."""
    for entry in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
