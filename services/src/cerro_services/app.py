"""The data services as one web application."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from cerro_services import (
    butler,
    cone,
    cutout,
    datalink,
    discovery,
    files,
    hips,
    monitoring,
    registry,
    rows,
    sia,
    tap,
)
from cerro_services.access import challenges
from cerro_services.compression import Compression
from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.formats import votable
from cerro_services.middleware import Front, Unforeseen
from cerro_services.tap import pages
from cerro_services.thrift import thrifty
from cerro_services.usertables import upkeep
from cerro_services.uws.gauges import gauges
from cerro_services.wayfinding import Signpost

log = logging.getLogger(__name__)

SERVICES: dict[str, Callable[[Context], APIRouter]] = {
    "tap": tap.router,
    "cone": cone.router,
    "rows": rows.router,
    "sia": sia.router,
    "datalink": datalink.router,
    "cutout": cutout.router,
    "hips": hips.router,
    "files": files.router,
    "butler": butler.router,
    "registry": registry.router,
    "discovery": discovery.router,
}
"""Services by the name that switches them on."""
_EXPOSED = (
    "Accept-Ranges", "Content-Disposition", "Content-Range", "Location", "Retry-After",
    "WWW-Authenticate", "X-Cerro-Overflow", "X-Request-Id", "X-VO-Authenticated",
)  # fmt: skip
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
PRODUCT = f"Cerro/{version('cerro-services')}"


def create_app(settings: Settings, names: Collection[str] = ()) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings
        What the process was told.
    names
        Services to serve; all if none is named.

    Returns
    -------
    FastAPI
        Ready to be served.
    """
    context = Context.build(settings)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        context.workers.submit(context.engine.warm)
        duties = [asyncio.create_task(duty) for duty in (upkeep(context), thrifty())]
        yield
        for duty in duties:
            duty.cancel()
        await context.close()

    app = FastAPI(
        title="Cerro data services",
        version=version("cerro-services"),
        lifespan=life,
        # The pages that show this document load another host's scripts into the platform's address.
        docs_url=None,
        openapi_url="/api/openapi.json",
        redoc_url=None,
        # They would lead to whatever host the client names.
        redirect_slashes=False,
    )
    app.state.context = context
    for name, service in SERVICES.items():
        if not names or name in names:
            app.include_router(service(context))
    app.include_router(_front(settings, [name for name in SERVICES if not names or name in names]))
    app.include_router(_health(context))
    app.include_router(monitoring.router(context.store, gauges(context)))
    realm = settings.base_url
    signpost = Signpost(app.routes, realm)

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, CerroError)
        return _rendered(request, error.status, error.code, error.message, realm)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path, method = request.url.path, request.method
        detail = f"{path}: {error.detail}."
        if error.status_code == 404:
            detail = signpost.unknown(path)
        elif error.status_code == 405:
            allow = {"Allow": ", ".join(signpost.methods(path))}
            if method == "OPTIONS":
                return Response(status_code=204, headers=allow)
            detail = signpost.refused(path, method)
            response = _rendered(request, 405, "http_error", detail, realm)
            response.headers.update(allow)
            return response
        response = _rendered(request, error.status_code, "http_error", detail, realm)
        response.headers.update(error.headers or {})
        return response

    async def away(request: Request, error: Exception) -> Response:
        log.warning("the database does not answer: %s", error)
        message = (
            "The database of jobs and users' tables does not answer. What it holds is kept; try "
            "again in a few seconds."
        )
        return _rendered(request, 503, "database_unavailable", message, realm)

    async def unfit(request: Request, _error: Exception) -> Response:
        message = "A name or value holds characters that cannot be kept."
        return _rendered(request, 400, "parameter_error", message, realm)

    async def unforeseen(request: Request, error: Exception) -> Response:
        if isinstance(error, OSError) and error.errno in _FULL:
            message = (
                "The server's disk is full, so what was sent could not be kept. Tell the operator, "
                "and try again later."
            )
            return _rendered(request, 507, "disk_full", message, realm)
        message = "Something failed that was not foreseen. The operator finds it in the log."
        return _rendered(request, 500, "internal_error", message, realm)

    app.add_exception_handler(CerroError, known)
    app.add_exception_handler(HTTPException, http)
    for kind in (OperationalError, InterfaceError, NoConnectionError):
        app.add_exception_handler(kind, away)
    # Such as NUL, which PostgreSQL does not take.
    app.add_exception_handler(DataError, unfit)
    # The last one added is the outermost.
    app.add_middleware(Unforeseen, rendered=unforeseen)
    app.add_middleware(Compression)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )
    app.add_middleware(Front, product=PRODUCT)
    return app


def _front(settings: Settings, names: Collection[str]) -> APIRouter:
    routes = APIRouter(tags=["front"])

    @routes.api_route("/api", methods=["GET", "HEAD"], summary="What is here")
    def front() -> Response:
        page = pages.services_page(settings.base_url, names)
        headers = {"Content-Security-Policy": pages.POLICY}
        return Response(page, media_type=pages.MIME, headers=headers)

    return routes


def _health(context: Context) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.api_route("/healthz", methods=["GET", "HEAD"], summary="Whether the process can serve")
    @routes.api_route("/api/healthz", methods=["GET", "HEAD"], include_in_schema=False)
    def health() -> Response:
        try:
            context.store.published()
        except (CerroError, OSError) as error:
            log.warning("not healthy: %s", error)
            reason = "The release store cannot be read. The operator finds the reason in the log."
            return JSONResponse({"ok": False, "reason": reason}, 503)
        return JSONResponse({"ok": True})

    return routes


def _rendered(request: Request, status: int, code: str, message: str, realm: str) -> Response:
    """Say what went wrong in the words of the protocol that was spoken."""
    path = request.url.path
    response: Response
    if path == f"{tap.PREFIX}/sync":
        response = Response(votable.failure(message), status, media_type=votable.MIME)
    elif path.startswith(f"{cone.PREFIX}/"):
        response = cone.failure(message, status)
    elif path.startswith(f"{rows.PREFIX}/"):
        response = rows.failure(message, status)
    elif path.startswith(f"{sia.PREFIX}/"):
        response = sia.failure(message, status)
    elif path.startswith(f"{datalink.PREFIX}/"):
        response = datalink.failure(message, status)
    elif path.startswith(cutout.PREFIX):
        said = f"{cutout.fault(status)}: {message}\n"
        response = Response(status_code=204) if status == 204 else PlainTextResponse(said, status)
    elif path.startswith((tap.PREFIX, registry.PREFIX)):
        response = PlainTextResponse(message + "\n", status)
    else:
        response = JSONResponse({"error": code, "message": message}, status)
    if status == 401:
        for challenge in challenges(realm):
            response.headers.append("WWW-Authenticate", challenge)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response
