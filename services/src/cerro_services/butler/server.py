"""The server application of lsst-daf-butler, within ours.

It is the application that the Rubin Science Platform runs, unchanged, but for what it gets from
outside: who asks (two headers, which Gafaelfawr's ingress makes there and we make here) and the
Butler that answers (which knows only what the caller may read). Whether the caller may see the
repository at all is decided before a request gets here, for each request anew: the server's own
rule remembers a positive answer for as long as it lives.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cerro_services.access import Caller
from cerro_services.butler.repositories import Repositories
from cerro_services.errors import CerroError
from cerro_services.release import Release

if TYPE_CHECKING:
    from lsst.daf.butler.direct_butler import DirectButler

_ASKED = "cerro.asked"
_PASSED = (b"accept", b"content-type", b"content-length", b"user-agent")
_CLIENT_REQUEST = b"x-butler-client-request-id"
_ABSENT: Any = object()
_LOGGERS = ("uvicorn.error", "uvicorn.access", "lsst.daf.butler.remote_butler.server")

LONGEST = 32_000_000
"""Bytes of a request; 100,000 data ids, the server's own limit, are some 5 MB."""


class TooLongError(CerroError, code="too_long", status=413):
    """A request that is too long, or does not say how long it is."""


@dataclass(frozen=True)
class Asked:
    """Who asks for what.

    Parameters
    ----------
    release
        A release that the caller may see.
    caller
        Who asks.
    user
        What the server calls them: it runs two queries at once for each user.
    """

    release: Release
    caller: Caller
    user: str


class Handed(Response):
    """The server's answer to a request.

    Parameters
    ----------
    server
        The server's application.
    asked
        Who asks for what.
    base_url
        The platform's address, which the server puts before addresses that it makes.
    """

    def __init__(self, server: ASGIApp, asked: Asked, base_url: str) -> None:
        super().__init__()
        self._server = server
        self._asked = asked
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, with nothing of the client's headers that the server could heed."""
        await self._server(_inner(scope, self._asked, self._base_url), receive, send)


def _inner(scope: Scope, asked: Asked, base_url: str) -> Scope:
    address = urlsplit(base_url)
    headers = [(k, v) for k, v in scope["headers"] if k in (*_PASSED, _CLIENT_REQUEST)]
    headers += [
        (b"host", address.netloc.encode()),
        (b"x-auth-request-user", asked.user.encode("ascii", "backslashreplace")),
        # The server would ask with it who the user is; we have told it.
        (b"x-auth-request-token", b"none"),
    ]
    kept = ("type", "asgi", "http_version", "method", "query_string", "client", "server")
    path = scope["path"]
    made = {key: scope[key] for key in kept if key in scope}
    return made | {
        "scheme": address.scheme,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": headers,
        _ASKED: asked,
    }


class _Factory:
    """Makes the Butler of a request, in the place of the server's own factory."""

    def __init__(self, repositories: Repositories, asked: Asked) -> None:
        self._repositories = repositories
        self._asked = asked

    @property
    def repository(self) -> str:
        """Its name."""
        return self._asked.release.name

    def create_butler(self) -> DirectButler:
        """Make it."""
        return self._repositories.butler(self._asked.release, self._asked.caller)


class _Admitted:
    """Lets everyone in: who is not let in has been turned away before."""

    async def is_user_authorized_for_repository(self, **_asked: str) -> bool:
        return True


def load(repositories: Repositories, base_url: str) -> ASGIApp:
    """Make the server's application; the first time this takes seconds.

    Parameters
    ----------
    repositories
        What it serves.
    base_url
        The platform's address.
    """
    with _process_kept():
        from lsst.daf.butler.remote_butler.server import _config, _dependencies, create_app

    # It reads its configuration from the environment of the process, once.
    _config._config = _config.ButlerServerConfig(
        repositories={},
        gafaelfawr_url=base_url,
        authentication="rubin_science_platform",
        static_files_path=None,
    )
    _config.load_config.cache_clear()
    app = create_app()

    def factory(request: Request) -> Any:
        return _Factory(repositories, request.scope[_ASKED])

    app.dependency_overrides[_dependencies.factory_dependency] = factory
    app.dependency_overrides[_dependencies.authorizer_dependency] = _Admitted
    return app


def check_length(request: Request) -> None:
    """Refuse what is too long before it is read: the server holds a whole request in memory.

    Parameters
    ----------
    request
        Whose length is to be checked.

    Raises
    ------
    TooLongError
        It is too long, or does not say how long it is.
    """
    length = request.headers.get("content-length", "0" if request.method == "GET" else "")
    if not length.isdigit():
        raise TooLongError("Say with Content-Length how long the request is.")
    if int(length) > LONGEST:
        raise TooLongError(f"A request has {LONGEST} bytes at most.")


@contextmanager
def _process_kept() -> Iterator[None]:
    """Undo what the import does: it sends the logs of the whole process elsewhere.

    And where Sentry's SDK is, the import starts it, which wraps every thread of the process. Tests
    in which queries of TAP hung passed without it; why was not traced. It is hidden meanwhile.
    """
    import structlog

    sentry = sys.modules.get("sentry_sdk", _ABSENT)
    sys.modules["sentry_sdk"] = None  # type: ignore[assignment]

    before = structlog.get_config()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    states = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    try:
        yield
    finally:
        if sentry is _ABSENT:
            del sys.modules["sentry_sdk"]
        else:
            sys.modules["sentry_sdk"] = sentry
        structlog.configure(**before)
        for logger, (handlers, propagate, level) in zip(loggers, states, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
