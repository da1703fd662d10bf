"""The route of the registry."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from cerro_services.access import PUBLIC
from cerro_services.context import Context
from cerro_services.parameters import read_pairs
from cerro_services.registry.records import Holdings
from cerro_services.release import Table
from cerro_services.tap.places import Places
from cerro_services.tap.router import limits_of
from cerro_services.tap.tapschema import SCHEMA
from cerro_services.tap.views import Views
from cerro_services.voxml import MIME, clean

PREFIX = "/api/oai"
_FORM = 100_000
"""Bytes of a form."""


def router(context: Context) -> APIRouter:
    """Make the route.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(tags=["registry"])
    views = Views()
    places = Places(context, views)

    def holdings() -> Holdings:
        """Gather what the public may see: a registry tells everyone."""
        releases = context.store.published()
        view = views.view(releases, PUBLIC.groups)
        schemas = [schema for schema in view.schemas if schema.name != SCHEMA]
        found = {
            (schema.name, table.name): places.of(view, schema, table)
            for schema in schemas
            for table in schema.tables
            if isinstance(table, Table) and table.ra and table.dec
        }
        return Holdings(
            context.settings,
            context.settings.base_url,
            context.started,
            {release.name: release for release in releases},
            schemas,
            limits_of(context, PUBLIC),
            {name: place for name, place in found.items() if place is not None},
        )

    def document(arguments: list[tuple[str, str]]) -> bytes:
        # It takes long to import, and a harvester comes once a day.
        from cerro_services.registry.repository import answer

        return answer(holdings(), arguments)

    @routes.api_route(PREFIX, methods=["GET", "HEAD", "POST"], summary="Records for VO registries")
    async def oai(request: Request) -> Response:
        pairs = await read_pairs(request, longest=_FORM)
        arguments = [(clean(name), clean(value)) for name, value in pairs]
        return Response(await run_in_threadpool(document, arguments), media_type=MIME)

    return routes
