"""The route that gives files."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.files.signing import PREFIX, FileSigner
from cerro_services.objects import CachedPath

__all__ = ["PREFIX", "router"]

_TYPES = {".fits": "application/fits", ".fz": "application/fits", ".parq": "application/x-parquet"}


class FileGoneError(CerroError, code="not_found", status=404):
    """A file that is no longer there."""


def router(context: Context) -> APIRouter:
    """Make the route that gives files.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["files"])
    signer = FileSigner(context.settings)

    @routes.api_route(
        "/{name}/{version}/{place:path}",
        methods=["GET", "HEAD"],
        summary="A file, by a signed address",
    )
    async def file(
        name: str, version: str, place: str, expires: str = "", signature: str = ""
    ) -> Response:
        signer.check(name, version, place, expires, signature)
        releases = await run_in_threadpool(context.store.published)
        for release in releases:
            if (release.name, release.version) == (name, version):
                path = release.root / place
                if isinstance(path, CachedPath):
                    raise FileGoneError("Files of releases in buckets are not given this way.")
                if not await run_in_threadpool(path.is_file):
                    break
                kind = _TYPES.get(path.suffix, "application/octet-stream")
                return FileResponse(
                    path, media_type=kind, filename=path.name, content_disposition_type="inline"
                )
        raise FileGoneError(
            f"{name}/{version}/{place} is no longer there. Take the link anew from DataLink or the "
            "Butler: a newer version may have been published."
        )

    return routes
