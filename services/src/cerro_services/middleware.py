"""What holds for every request and response, whatever service answers."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from cerro_services import metrics

log = logging.getLogger(__name__)

_POLICY = "content-security-policy"
_BARE = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""No script, no image, no form. Without styles browsers cannot show XML as the tree that it is."""
_ON_EVERY_RESPONSE = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
)
_SLASHES = re.compile("//+")
_IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Front:
    """Names each request, forgives slashes, and adds the headers of every response.

    Parameters
    ----------
    app
        What answers.
    product
        Who answers, for the header ``Server``.
    """

    def __init__(self, app: ASGIApp, product: str) -> None:
        self._app = app
        self._product = product

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(("/api/", "/repertoire/")) and (path.endswith("/") or "//" in path):
            # Clients join addresses in both ways. A redirect would lose what a POST holds.
            scope["path"] = _SLASHES.sub("/", path).rstrip("/")
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if _IDENTITY.fullmatch(given) else secrets.token_hex(8)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["server"] = self._product
                headers["x-request-id"] = identity
                for name, value in _ON_EVERY_RESPONSE:
                    headers[name] = value
                if _POLICY not in headers:
                    # What a query writes into a result must never run as a page of the platform.
                    headers[_POLICY] = _BARE
                metrics.request(scope["method"], path, message["status"])
            await send(message)

        with bound_contextvars(request=identity):
            await self._app(scope, receive, named)


class Unforeseen:
    """Answers when something fails that nobody foresaw, within what adds headers to answers.

    Parameters
    ----------
    app
        What may fail.
    rendered
        Gives the response for the person who asked; it is told the error.
    """

    def __init__(
        self, app: ASGIApp, rendered: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._rendered = rendered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and answer if that fails before anything was sent."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted if scope["type"] == "http" else send)
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            log.exception("unforeseen error on %s", scope["path"])
            response = await self._rendered(Request(scope, receive), error)
            await response(scope, receive, send)
