"""The routes of SIA (SIA 2.0 §2)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from cerro_services.access import READ_IMAGE, Caller
from cerro_services.context import Context
from cerro_services.formats import choose, votable
from cerro_services.images import table_of
from cerro_services.parameters import Parameters
from cerro_services.release import Release, ReleaseNotFound
from cerro_services.sia.choice import chosen
from cerro_services.sia.conditions import conditions
from cerro_services.tap.answer import Answer
from cerro_services.tap.availability import Availability
from cerro_services.tap.question import Question
from cerro_services.tap.response import begun
from cerro_services.tap.views import Views
from cerro_services.tap.vosi import add_interface, add_vosi
from cerro_services.voxml import MIME, add, document, root

PREFIX = "/api/sia"
STANDARD = "ivo://ivoa.net/std/SIA#query-2.0"
_READ = ["GET", "HEAD"]
_FORM = 1_000_000
"""Bytes of a form."""


def router(context: Context) -> APIRouter:
    """Make the routes of SIA.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["sia"])
    base = context.settings.base_url
    availability = Availability(context, Views())

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_IMAGE)
        return caller

    def found(name: str, caller: Caller) -> Release:
        for release in context.store.published():
            if release.name.lower() == name.lower() and table_of(release, caller.groups).num_rows:
                return release
        raise ReleaseNotFound(f"There is no release {name} with images that you may see.")

    @routes.api_route("/{name}/query", methods=[*_READ, "POST"], summary="The images of a release")
    async def query(request: Request, name: str) -> Response:
        caller = await identified(request)
        release = await run_in_threadpool(found, name, caller)
        parameters = await Parameters.read(request, longest=_FORM)
        wanted = [f"obs_collection = '{release.name}'", *conditions(parameters)]
        # Numbers that were read, and texts between quotes that were doubled.
        adql = f"SELECT * FROM ivoa.ObsCore WHERE {' AND '.join(wanted)}"  # noqa: S608
        form = choose(parameters.get("RESPONSEFORMAT"), None)
        maxrec = parameters.integer("MAXREC")
        settings = context.settings
        rows = settings.maxrec_default if maxrec is None else min(maxrec, settings.maxrec_hard)
        if request.method == "HEAD":
            return Response(headers={"Content-Type": form.mime})
        address = request.client.host if request.client is not None else ""
        seen = await run_in_threadpool(chosen, release, caller.groups, parameters, base)
        answer = Answer(context, seen, Question(adql, form, rows), caller, address)
        return await begun(context, answer, request.receive)

    @routes.api_route("/{name}/capabilities", methods=_READ, summary="What it can do")
    @routes.api_route("/{name}/query/capabilities", methods=_READ, include_in_schema=False)
    async def capabilities(request: Request, name: str) -> Response:
        caller = await context.callers.identify(request.headers.get("authorization"))
        release = await run_in_threadpool(found, name, caller)
        url = f"{base}{PREFIX}/{release.name}"
        made = root("capabilities", "capabilities", "vr", "vs")
        capability = add(made, "capability", None, {"standardID": STANDARD})
        result = "application/x-votable+xml"
        add_interface(capability, f"{url}/query", standard="2.0", result=result)
        add_vosi(made, url, tables=False)
        return Response(document(made), media_type=MIME)

    @routes.api_route("/{name}/availability", methods=_READ, summary="Whether it can")
    def available(name: str) -> Response:
        del name
        return Response(availability.document(), media_type=MIME)

    return routes


def failure(message: str, status: int) -> Response:
    """Say in a VOTable what went wrong (SIA 2.0 §2.3)."""
    return Response(votable.failure(message), status, media_type=votable.MIME)
