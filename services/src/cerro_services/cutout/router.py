"""The routes of SODA (SODA 1.0 §2)."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from cerro_services.access import READ_IMAGE, Caller
from cerro_services.context import Context
from cerro_services.cutout import jobs
from cerro_services.cutout.pictures import Look, picture, read
from cerro_services.cutout.request import Asked
from cerro_services.cutout.writing import Part
from cerro_services.images import Images, ImageUnavailableError
from cerro_services.parameters import Parameters
from cerro_services.tap.availability import Availability
from cerro_services.tap.views import Views
from cerro_services.tap.vosi import add_interface, add_vosi
from cerro_services.uws import routes as jobs_routes
from cerro_services.voxml import MIME, add, document, root

PREFIX = "/api/cutout"
STANDARD = "ivo://ivoa.net/std/SODA#sync-1.0"
_READ = ["GET", "HEAD"]
_FORM = 1_000_000
"""Bytes of a form."""
_AT_ONCE = 4
"""Requests that are cut at once; others wait, so that memory is bounded."""
_PREVIEW = 512
"""Pixels of a preview's side."""
_FAULTS = {400: "UsageFault", 413: "UsageFault", 404: "NotFoundFault", 503: "ServiceUnavailable"}


def fault(status: int) -> str:
    """Give the name of an error (DALI 1.1 §4.2, SODA 1.0 §5)."""
    return _FAULTS.get(status, "AuthenticationFault" if status in {401, 403} else "Error")


def router(context: Context) -> APIRouter:
    """Make the routes of SODA.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["cutout"])
    images = Images(context)
    available = Availability(context, Views())
    places = asyncio.Semaphore(_AT_ONCE)

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_IMAGE)
        return caller

    @routes.api_route("", methods=[*_READ, "POST"], include_in_schema=False)
    @routes.api_route("/sync", methods=[*_READ, "POST"], summary="Parts of images")
    async def sync(request: Request) -> Response:
        caller = await identified(request)
        parameters = await Parameters.read(request, longest=_FORM)
        async with places:
            asked = await run_in_threadpool(Asked.read, parameters, images, caller)
            body, faults = await run_in_threadpool(asked.answer)
        headers = {"Content-Disposition": f'inline; filename="cutout.{asked.mime.split("/")[1]}"'}
        if faults:
            # The rest is served; what is not is told beside it.
            headers["X-Cerro-Faults"] = (
                " | ".join(faults)[:4000].encode("ascii", "replace").decode()
            )
        return Response(body, media_type=asked.mime, headers=headers)

    @routes.api_route("/preview", methods=_READ, summary="An image as a small JPEG")
    async def preview(request: Request) -> Response:
        caller = await identified(request)
        parameters = await Parameters.read(request, longest=_FORM)
        wanted = parameters.get("ID") or ""
        found = await run_in_threadpool(images.find, [wanted], caller)
        if wanted not in found:
            raise ImageUnavailableError(f"There is no image {wanted[:200]} that you may see.")

        def drawn() -> bytes:
            plane = read(Part(found[wanted], None), _PREVIEW)
            return picture([plane], Look("asinh", None, colour=False), "image/jpeg")

        async with places:
            body = await run_in_threadpool(drawn)
        return Response(body, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    @routes.api_route("/capabilities", methods=_READ, summary="What it can do")
    def capabilities() -> Response:
        url = context.settings.base_url + PREFIX
        made = root("capabilities", "capabilities", "vr", "vs")
        capability = add(made, "capability", None, {"standardID": STANDARD})
        add_interface(capability, f"{url}/sync", standard="1.0", result="application/fits")
        later = add(made, "capability", None, {"standardID": STANDARD.replace("sync", "async")})
        add_interface(later, f"{url}/async", standard="1.0")
        add_vosi(made, url, tables=False)
        return Response(document(made), media_type=MIME)

    @routes.api_route("/availability", methods=_READ, summary="Whether it can")
    def is_available() -> Response:
        return Response(available.document(), media_type=MIME)

    every = APIRouter()
    every.include_router(routes)
    for kind in jobs.kinds(context, Views(context.resolve, context.settings.base_url)):
        every.include_router(jobs_routes(context, kind))
    return every
