"""The portal's application: routes, and nothing behind them but other modules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import jinja2
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from cerro_portal import assets
from cerro_portal.config import Settings
from cerro_portal.headers import SecurityHeaders
from cerro_portal.releases import ReleaseSource

_SESSION_COOKIE = "jupyterhub-session-id"
_SERVICES_SECONDS = 5.0
_READ = ["GET", "HEAD"]


def create_app(settings: Settings) -> FastAPI:
    """Build the portal.

    Parameters
    ----------
    settings
        Addresses of the platform and its services, and the folder of the documentation.

    Returns
    -------
    fastapi.FastAPI
        The application; it keeps no state of any visitor.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(
            # The services are near: a proxy for the outside world is not the way to them.
            base_url=settings.services_url,
            timeout=_SERVICES_SECONDS,
            trust_env=False,
        ) as client:
            app.state.releases = ReleaseSource(client)
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=800)
    app.add_middleware(SecurityHeaders)
    pages = _templates(settings)

    def page(name: str, status: int = 200, **values: object) -> HTMLResponse:
        html = pages.get_template(name).render(**values)
        return HTMLResponse(html, status)

    @app.api_route("/", methods=_READ)
    async def home(request: Request) -> HTMLResponse:
        listing = await request.app.state.releases.get()
        answer = page("home.html", listing=listing, maybe_signed_in=_maybe_signed_in(request))
        answer.headers["Vary"] = "Cookie"
        return answer

    @app.api_route("/portal", methods=_READ)
    @app.api_route("/portal/", methods=_READ)
    async def portal() -> RedirectResponse:
        return RedirectResponse("/", 307)

    @app.api_route("/healthz", methods=_READ)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.api_route("/favicon.ico", methods=_READ)
    async def favicon(request: Request) -> Response:
        return assets.respond(request, "favicon.ico")

    @app.api_route("/static/cerro/{name}", methods=_READ)
    async def static(request: Request, name: str) -> Response:
        return assets.respond(request, name)

    @app.api_route("/docs", methods=_READ)
    async def docs_folder() -> RedirectResponse:
        return RedirectResponse("/docs/", 307)

    @app.api_route("/docs/{path:path}", methods=_READ)
    async def docs(request: Request, path: str) -> Response:
        folder = settings.docs
        # Looked up anew each time: the documentation may be built while the platform runs.
        if folder is None or not (folder / "index.html").is_file():
            return page("docs_missing.html", 404, maybe_signed_in=_maybe_signed_in(request))
        return await StaticFiles(directory=folder, html=True).get_response(
            path or ".", request.scope
        )

    def error_page(request: Request, status: int) -> HTMLResponse:
        return page("error.html", status, code=status, maybe_signed_in=_maybe_signed_in(request))

    @app.exception_handler(HTTPException)
    async def not_served(request: Request, error: HTTPException) -> Response:
        return error_page(request, error.status_code)

    @app.exception_handler(500)
    async def broken(request: Request, _error: Exception) -> Response:
        return error_page(request, 500)

    return app


def _maybe_signed_in(request: Request) -> bool:
    """Tell whether it is worth asking the hub who this is; its session cookie reaches us too."""
    return _SESSION_COOKIE in request.cookies


def _templates(settings: Settings) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=assets.address,
        title=settings.title,
        welcome=settings.welcome,
        url=settings.external_url,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}".replace(",", "\u202f")
    return environment
