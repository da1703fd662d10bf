"""TAP 1.1 at /api/tap: queries, and what the service says of itself."""

from __future__ import annotations

from typing import TypedDict

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from cerro_services import headers
from cerro_services.access import READ_TAP, Caller, challenges
from cerro_services.context import Context
from cerro_services.images.index import has_images
from cerro_services.parameters import Parameters
from cerro_services.release import ReleaseNotFound
from cerro_services.tap import jobs, tables, tableupdate, vosi
from cerro_services.tap.availability import Availability
from cerro_services.tap.estimate import estimated
from cerro_services.tap.examples import Examples
from cerro_services.tap.owntables import headers_of, own_tables
from cerro_services.tap.pages import POLICY, examples_page, front_page
from cerro_services.tap.sync import answered
from cerro_services.tap.tapschema import Schema, View, identifier, qualified
from cerro_services.tap.views import Views
from cerro_services.uws import routes as jobs_routes
from cerro_services.voxml import MIME

PREFIX = "/api/tap"
READ = ["GET", "HEAD"]
_PAGE = "application/xhtml+xml"
_PAGE_HEADERS = {"Content-Security-Policy": POLICY}
_FORM = 100_000
"""Bytes of a form that holds no query."""


def router(context: Context) -> APIRouter:
    """Make the routes of TAP.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["tap"])
    views = Views(context.resolve, context.settings.base_url)
    url = context.settings.base_url + PREFIX
    availability = Availability(context, views, [jobs.check(context)])
    examples = Examples(context, views)

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_TAP)
        return caller

    def seen(caller: Caller) -> View:
        return views.of(context, caller)

    @routes.api_route("", methods=READ, summary="What is here")
    def front() -> Response:
        return Response(front_page(url), media_type=_PAGE, headers=_PAGE_HEADERS)

    @routes.api_route("/sync", methods=[*READ, "POST"], summary="Answer an ADQL query")
    async def sync(request: Request) -> Response:
        caller = await identified(request)
        return await answered(request, context, views, caller)

    @routes.api_route("/estimate", methods=[*READ, "POST"], summary="What a query would cost")
    async def estimate(request: Request) -> Response:
        caller = await identified(request)
        return JSONResponse(await estimated(request, context, views, caller))

    @routes.api_route("/capabilities", methods=READ, summary="What TAP can do here")
    async def capabilities(request: Request) -> Response:
        caller = await identified(request)
        limits = await run_in_threadpool(limits_of, context, caller)
        document = vosi.capabilities(url, limits)
        response = Response(document, media_type=MIME)
        # A client that offers its user to log in looks here how it may (SSO 2.0 §4; TOPCAT).
        for challenge in challenges(context.settings.base_url):
            response.headers.append("WWW-Authenticate", challenge)
        if caller.name is not None:
            response.headers["X-VO-Authenticated"] = headers.written(caller.name)
        return response

    @routes.api_route("/availability", methods=READ, summary="Whether TAP can answer")
    def available() -> Response:
        return Response(availability.document(), media_type=MIME)

    @routes.api_route("/tables", methods=READ, summary="All tables")
    async def all_tables(request: Request) -> Response:
        found = seen(await identified(request))
        document = await run_in_threadpool(
            tables.tableset, found.schemas, **await _wanted(request), tap_plus=_is_tap_plus(request)
        )
        return Response(document, media_type=MIME)

    @routes.api_route("/tables/{name:path}", methods=READ, summary="One table")
    async def one_table(request: Request, name: str) -> Response:
        caller = await identified(request)
        found = seen(caller)
        detail = (await _wanted(request))["detail"]
        document = await run_in_threadpool(_named, found.schemas, name, detail=detail)
        if document is None:
            raise ReleaseNotFound(f"There is no table {name}. {url}/tables lists those that are.")
        also = await run_in_threadpool(headers_of, context, caller, name)
        return Response(document, media_type=MIME, headers=also)

    routes.include_router(own_tables(context))

    @routes.api_route("/examples", methods=READ, summary="Queries to begin with")
    async def example_queries(request: Request) -> Response:
        caller = await identified(request)
        found = await run_in_threadpool(examples.of, seen(caller))
        return Response(examples_page(url, found), media_type=_PAGE, headers=_PAGE_HEADERS)

    every = APIRouter()
    every.include_router(jobs_routes(context, jobs.kind(context, views)))
    every.include_router(jobs_routes(context, tableupdate.kind(context)))
    every.include_router(routes)
    return every


def limits_of(context: Context, caller: Caller) -> vosi.TapLimits:
    """Give what a caller may use, as the capabilities say it."""
    quota = context.quotas.of(caller)
    return vosi.TapLimits(
        sync_seconds=int(quota.sync_seconds),
        job_seconds=quota.job_seconds,
        keep_seconds=quota.keep_days * 86400,
        rows=context.settings.maxrec_default,
        most_rows=quota.maxrec,
        upload_bytes=int(quota.upload_bytes),
        resolves=context.resolve is not None,
        images=has_images(context.store.published(), caller.groups),
    )


class _Wanted(TypedDict):
    """Which part of the tables a client wants."""

    detail: bool
    only: str | None


async def _wanted(request: Request) -> _Wanted:
    """Read which tables are wanted, and whether with columns and keys (VOSI 1.1 §2.3).

    TapPlus of ESA's archives and of astroquery has parameters of its own for both.
    """
    parameters = await Parameters.read(request, longest=_FORM)
    names_only = (parameters.get("ONLY_TABLES") or "").lower() == "true"
    detail = (parameters.get("DETAIL") or "max").lower() != "min" and not names_only
    return {"detail": detail, "only": parameters.get("TABLES")}


def _is_tap_plus(request: Request) -> bool:
    """Whether astroquery's TapPlus asks: it alone does not say who it is when it lists tables."""
    return "user-agent" not in request.headers and "accept" not in request.headers


def _named(schemas: tuple[Schema, ...], name: str, *, detail: bool) -> bytes | None:
    """Write the table, or all tables of the schema, that has a name."""
    wanted = name.lower()
    for schema in schemas:
        for model in schema.tables:
            full = {qualified(schema.name, model.name), f"{schema.name}.{model.name}"}
            if wanted in {text.lower() for text in full}:
                return tables.table(schema, model, detail=detail)
        if wanted in {schema.name.lower(), identifier(schema.name).lower()}:
            return tables.tableset((schema,), detail=detail)
    return None
