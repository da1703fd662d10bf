"""The route that finds rows by values of their columns."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from cerro_services.access import READ_TAP
from cerro_services.context import Context
from cerro_services.formats import votable
from cerro_services.parameters import Parameters
from cerro_services.release import ReleaseNotFound
from cerro_services.rows.search import question
from cerro_services.tap.answer import Answer
from cerro_services.tap.response import begun
from cerro_services.tap.views import Views

PREFIX = "/api/rows"
_FORM = 100_000
"""Bytes of a form."""


def router(context: Context) -> APIRouter:
    """Make the route that finds rows by values of their columns.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["rows"])
    views = Views()

    @routes.api_route(
        "/{release}/{table}",
        methods=["GET", "HEAD", "POST"],
        summary="The rows of a table that have given values",
    )
    async def rows(request: Request, release: str, table: str) -> Response:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_TAP)
        view = views.view(context.store.published(), caller.groups)
        found = next(
            (
                (schema, model)
                for schema in view.schemas
                for model in schema.tables
                if schema.name.lower() == release.lower() and model.name.lower() == table.lower()
            ),
            None,
        )
        if found is None:
            raise ReleaseNotFound(
                f"There is no table {table} in a release {release} that you may read; "
                f"{context.settings.base_url}/api/tap/tables lists those that are."
            )
        schema, model = found
        parameters = await Parameters.read(request, longest=_FORM)
        asked = question(parameters, schema.name, model, context.settings)
        if request.method == "HEAD":
            return Response(headers={"Content-Type": asked.form.mime})
        address = request.client.host if request.client is not None else ""
        answer = Answer(context, views, asked, caller, address)
        return await begun(context, answer, request.receive)

    return routes


def failure(message: str, status: int) -> Response:
    """Say in a VOTable what went wrong (DALI 1.1 §4.2)."""
    return Response(votable.failure(message), status, media_type=votable.MIME)
