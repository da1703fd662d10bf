"""The routes of the Butler server."""

from __future__ import annotations

import threading

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from cerro_services.access import PUBLIC, READ_IMAGE, Caller, token_of
from cerro_services.butler.repositories import PREFIX, Repositories, config_url
from cerro_services.butler.server import Asked, Handed, check_length, load
from cerro_services.context import Context
from cerro_services.files.signing import FileSigner

NOBODY = "public"
"""What a client sends as its token that has none: the Butler's client refuses to send nothing."""


def router(context: Context) -> APIRouter:
    """Make the routes of the Butler server.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["butler"])
    base = context.settings.base_url
    repositories = Repositories(context, FileSigner(context.settings).address)
    server = _Once(repositories, base)

    async def identified(request: Request) -> Caller:
        authorization = request.headers.get("authorization")
        if token_of(authorization) == NOBODY:
            return PUBLIC
        caller = await context.callers.identify(authorization)
        caller.require(READ_IMAGE)
        return caller

    @routes.api_route(
        "/configs/repositories.yaml", methods=["GET", "HEAD"], summary="The repositories"
    )
    @routes.api_route("/configs/idf-repositories.yaml", methods=["GET"], include_in_schema=False)
    async def index(request: Request) -> Response:
        """Give the address of each repository by its name; JSON is YAML, too."""
        caller = await identified(request)
        seen = await run_in_threadpool(repositories.seen, caller)
        return JSONResponse({release.name: config_url(base, release) for release in seen})

    @routes.api_route(
        "/repo/{name}/butler.yaml", methods=["GET", "HEAD"], summary="How to reach a repository"
    )
    @routes.api_route("/repo/{name}/butler.json", methods=["GET", "HEAD"], include_in_schema=False)
    async def config(name: str) -> Response:
        """Give what a client needs to know; it is the same for all, whether they exist or not.

        Clients ask for it before they know that they have a token.
        """
        del name
        return JSONResponse(
            {
                "cls": "lsst.daf.butler.remote_butler.RemoteButler",
                "remote_butler": {
                    "url": "<butlerRoot>",
                    "authentication": "rubin_science_platform",
                },
            }
        )

    @routes.api_route(
        "/repo/{name}/v1/{rest:path}",
        methods=["GET", "POST"],
        summary="A repository, by the protocol of RemoteButler",
    )
    async def repository(request: Request, name: str, rest: str) -> Response:
        del rest
        check_length(request)
        caller = await identified(request)
        release = await run_in_threadpool(repositories.found, name, caller)
        asked = Asked(release, caller, caller.name or _nobody(request))
        return Handed(await run_in_threadpool(server.get), asked, base)

    return routes


class _Once:
    """The server's application, made when it is first needed."""

    def __init__(self, repositories: Repositories, base_url: str) -> None:
        self._needs = (repositories, base_url)
        self._lock = threading.Lock()
        self._made: ASGIApp | None = None

    def get(self) -> ASGIApp:
        """Give it."""
        with self._lock:
            if self._made is None:
                self._made = load(*self._needs)
            return self._made


def _nobody(request: Request) -> str:
    """Name a caller without a token by their address: the server's limits are for each user."""
    return f"{NOBODY}@{request.client.host if request.client is not None else ''}"
