"""The routes of cone search."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from cerro_services.access import READ_TAP, Caller
from cerro_services.cone import documents
from cerro_services.cone.search import Cone, ConeAnswer, main_columns
from cerro_services.context import Context
from cerro_services.parameters import Parameters
from cerro_services.release import ReleaseNotFound, Table
from cerro_services.tap import tables
from cerro_services.tap.availability import Availability
from cerro_services.tap.places import Places
from cerro_services.tap.response import begun
from cerro_services.tap.tapschema import Schema
from cerro_services.tap.views import Views
from cerro_services.voxml import MIME

PREFIX = "/api/cone"
_READ = ["GET", "HEAD"]
_FORM = 100_000
"""Bytes of a form."""


class Search(BaseModel):
    """One table that can be searched."""

    table: str = Field(description="Name, as TAP has it.")
    description: str | None
    nrows: int
    url: str = Field(description="Address of its cone search.")


def router(context: Context) -> APIRouter:
    """Make the routes of cone search.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["cone"])
    views = Views()
    base = context.settings.base_url + PREFIX
    availability = Availability(context, views)
    places = Places(context, views)

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_TAP)
        return caller

    def seen(caller: Caller, release: str | None = None) -> list[tuple[Schema, Table]]:
        view = views.view(context.store.published(), caller.groups)
        return [
            (schema, table)
            for schema in view.schemas
            for table in schema.tables
            if isinstance(table, Table) and table.ra is not None and table.dec is not None
            if release is None or schema.name.lower() == release.lower()
        ]

    def found(caller: Caller, release: str, table: str) -> tuple[Schema, Table]:
        for schema, model in seen(caller, release):
            if model.name.lower() == table.lower():
                return schema, model
        raise ReleaseNotFound(
            f"There is no table {table} with positions in {release}. {base} lists those that are."
        )

    def listed(caller: Caller, release: str | None) -> list[Search]:
        return [
            Search(
                table=f"{schema.name}.{table.name}",
                description=table.description,
                nrows=table.nrows,
                url=f"{base}/{schema.name}/{table.name}",
            )
            for schema, table in seen(caller, release)
        ]

    @routes.get("", summary="All tables that can be searched")
    async def everything(request: Request) -> list[Search]:
        return listed(await identified(request), None)

    @routes.get("/{release}", summary="The tables of a release that can be searched")
    async def of_release(request: Request, release: str) -> list[Search]:
        searches = listed(await identified(request), release)
        if not searches:
            raise ReleaseNotFound(f"There is no release {release} with positions. See {base}.")
        return searches

    @routes.api_route(
        "/{release}/{table}", methods=[*_READ, "POST"], summary="The rows of a table in a cone"
    )
    async def search(request: Request, release: str, table: str) -> Response:
        caller = await identified(request)
        schema, model = found(caller, release, table)
        cone = Cone.read(await Parameters.read(request, longest=_FORM), context.settings)
        if request.method == "HEAD":
            return Response(headers={"Content-Type": cone.form.mime})
        address = request.client.host if request.client is not None else ""
        answer = ConeAnswer(context, views, cone.question(schema.name, model), caller, address)
        answer.ucds = main_columns(model)
        return await begun(context, answer, request.receive)

    @routes.api_route("/{release}/{table}/capabilities", methods=_READ, summary="What it can do")
    async def capabilities(request: Request, release: str, table: str) -> Response:
        caller = await identified(request)
        schema, model = found(caller, release, table)
        view = views.view(context.store.published(), caller.groups)
        place = await run_in_threadpool(places.of, view, schema, model)
        url = f"{base}/{schema.name}/{model.name}"
        most = context.quotas.of(caller).maxrec
        document = documents.capabilities(url, place or (0.0, 0.0), most)
        return Response(document, media_type=MIME)

    @routes.api_route("/{release}/{table}/availability", methods=_READ, summary="Whether it can")
    def available(release: str, table: str) -> Response:
        del release, table
        return Response(availability.document(), media_type=MIME)

    @routes.api_route("/{release}/{table}/tables", methods=_READ, summary="Its columns")
    async def columns(request: Request, release: str, table: str) -> Response:
        schema, model = found(await identified(request), release, table)
        alone = Schema(schema.name, schema.title, schema.description, schema.utype, (model,), ())
        return Response(tables.tableset((alone,)), media_type=MIME)

    return routes
