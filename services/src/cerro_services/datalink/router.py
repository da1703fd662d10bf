"""The routes of DataLink (DataLink 1.1 §2)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from cerro_services.access import READ_IMAGE
from cerro_services.context import Context
from cerro_services.datalink.document import MIME, document
from cerro_services.datalink.links import Link, links, missing
from cerro_services.files import FileSigner
from cerro_services.formats import votable
from cerro_services.images import Images
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.tap.availability import Availability
from cerro_services.tap.views import Views
from cerro_services.tap.vosi import add_interface, add_vosi
from cerro_services.voxml import MIME as XML
from cerro_services.voxml import add, root
from cerro_services.voxml import document as written

PREFIX = "/api/datalink"
STANDARD = "ivo://ivoa.net/std/DataLink#links-1.1"
_READ = ["GET", "HEAD"]
_FORM = 1_000_000
"""Bytes of a form."""
_MOST = 500
"""Identifiers of a request."""
_FORMATS = frozenset({"votable", "application/x-votable+xml", "text/xml"})


def router(context: Context) -> APIRouter:
    """Make the routes of DataLink.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["datalink"])
    base = context.settings.base_url
    images = Images(context)
    signer = FileSigner(context.settings)
    available = Availability(context, Views())

    @routes.api_route("/links", methods=[*_READ, "POST"], summary="The links of images")
    async def give(request: Request) -> Response:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_IMAGE)
        parameters = await Parameters.read(request, longest=_FORM)
        form = (parameters.get("RESPONSEFORMAT") or "votable").partition(";")[0].strip().lower()
        if form not in _FORMATS:
            raise ParameterError("RESPONSEFORMAT is votable.")
        ids = [each for each in dict.fromkeys(parameters.values.get("ID", ())) if each]
        maxrec = parameters.integer("MAXREC")
        if not ids and maxrec != 0:
            raise ParameterError("ID is missing: the obs_publisher_did of an image.")
        if len(ids) > _MOST:
            raise ParameterError(f"{len(ids):,} IDs are too many; {_MOST:,} are answered at once.")

        def made() -> bytes:
            found = images.find(ids, caller)
            rows: list[Link] = []
            for each in ids:
                rows += links(found[each], signer, base) if each in found else [missing(each)]
            return document([] if maxrec == 0 else rows, base)

        body = await run_in_threadpool(made)
        # Its links expire.
        return Response(body, media_type=MIME, headers={"Cache-Control": "private, max-age=600"})

    @routes.api_route("/capabilities", methods=_READ, summary="What it can do")
    def capabilities() -> Response:
        url = base + PREFIX
        made = root("capabilities", "capabilities", "vr", "vs")
        capability = add(made, "capability", None, {"standardID": STANDARD})
        add_interface(capability, f"{url}/links", standard="1.1", result=MIME)
        add_vosi(made, url, tables=False)
        return Response(written(made), media_type=XML)

    @routes.api_route("/availability", methods=_READ, summary="Whether it can")
    def is_available() -> Response:
        return Response(available.document(), media_type=XML)

    return routes


def failure(message: str, status: int) -> Response:
    """Say in a VOTable what went wrong (DALI 1.1 §4.2)."""
    return Response(votable.failure(message), status, media_type=votable.MIME)
