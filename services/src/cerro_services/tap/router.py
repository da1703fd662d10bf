"""TAP 1.1 at /api/tap: queries, and what the service says of itself."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from cerro_services.access import READ_TAP, Caller
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release import ReleaseNotFound
from cerro_services.tap import tables, vosi
from cerro_services.tap.sync import answered
from cerro_services.tap.tapschema import View, identifier, qualified
from cerro_services.tap.views import Views

log = logging.getLogger(__name__)

PREFIX = "/api/tap"
_XML = "text/xml"
_SAMPLE = "SELECT TOP 1 * FROM {}"


def router(context: Context) -> APIRouter:
    """Make the routes of TAP.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["tap"])
    views = Views()
    url = context.settings.base_url + PREFIX

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_TAP)
        return caller

    def seen(caller: Caller) -> View:
        return views.view(context.store.published(), caller.groups)

    @routes.api_route("/sync", methods=["GET", "HEAD", "POST"], summary="Answer an ADQL query")
    async def sync(request: Request) -> Response:
        caller = await identified(request)
        return await answered(request, context, views, caller)

    @routes.api_route("/capabilities", methods=["GET", "HEAD"], summary="What TAP can do here")
    async def capabilities(request: Request) -> Response:
        await identified(request)
        return Response(vosi.capabilities(url, context.settings), media_type=_XML)

    @routes.api_route("/availability", methods=["GET", "HEAD"], summary="Whether TAP can answer")
    def availability() -> Response:
        up, note = _probe(context, views)
        document = vosi.availability(up=up, since=context.started, note=note)
        return Response(document, media_type=_XML)

    @routes.api_route("/tables", methods=["GET", "HEAD"], summary="All tables")
    async def all_tables(request: Request, detail: str = "max") -> Response:
        found = seen(await identified(request))
        document = tables.tableset(found.schemas, detail=detail.lower() != "min")
        return Response(document, media_type=_XML)

    @routes.api_route("/tables/{name:path}", methods=["GET", "HEAD"], summary="One table")
    async def one_table(request: Request, name: str) -> Response:
        found = seen(await identified(request))
        for schema in found.schemas:
            for model in schema.tables:
                if name in {qualified(schema.name, model.name), f"{schema.name}.{model.name}"}:
                    return Response(tables.table(schema, model), media_type=_XML)
            if name in {schema.name, identifier(schema.name)}:
                return Response(tables.tableset((schema,)), media_type=_XML)
        raise ReleaseNotFound(f"There is no table {name}. {url}/tables lists those that are.")

    return routes


def _probe(context: Context, views: Views) -> tuple[bool, str]:
    """Answer a small query on every release, as a client would."""
    started = datetime.now(UTC)
    try:
        releases = context.store.published()
        everything = views.view(releases, frozenset().union(*map(_groups, releases)))
        for schema in everything.schemas:
            table = qualified(schema.name, schema.tables[0].name)
            stream = context.engine.stream(views.query(everything, _SAMPLE.format(table)), limit=1)
            try:
                for _ in stream:
                    pass
            finally:
                stream.close()
    except CerroError as error:
        # Everybody may ask: which table it is, of a release they may not know of, the log says.
        log.warning("not available: %s", error.message)
        return False, "A release does not answer queries. The operator finds it in the log."
    except OSError as error:
        log.warning("not available: %s", error)
        return False, "The release store cannot be read."
    took = (datetime.now(UTC) - started).total_seconds() * 1e3
    return True, f"Every release answered a query, all of them within {took:.0f} ms."


def _groups(release: object) -> frozenset[str]:
    """Give all groups that the rules of a release name."""
    access = release.access  # type: ignore[attr-defined]
    rules = [access.default, *access.tables.values()]
    return frozenset().union(*(rule for rule in rules if rule))
