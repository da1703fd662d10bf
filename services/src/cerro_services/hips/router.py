"""The routes that give HiPS (HiPS 1.0 §4, §5)."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from cerro_services.access import READ_IMAGE, Caller
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release import Release
from cerro_services.release.hips.build import DATASET_TYPE, FOLDER, properties

PREFIX = "/api/hips"
_READ = ["GET", "HEAD"]
_NAME = re.compile(r"[A-Za-z0-9_]{1,128}")
_PLACE = re.compile(
    r"(properties|Moc\.fits|Norder\d{1,2}/(Allsky|Dir\d{1,12}/Npix\d{1,12})\.(fits|png|jpg))"
)
_TYPES = {".fits": "application/fits", ".png": "image/png", ".jpg": "image/jpeg"}
_AGE = 3600
"""Seconds that a tile may be kept without asking; a new version may have others."""


class NoTileError(CerroError, code="not_found", status=404):
    """A HiPS or a tile that there is not, or that the caller may not see."""


def router(context: Context) -> APIRouter:
    """Make the routes that give HiPS.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(prefix=PREFIX, tags=["hips"])
    base = context.settings.base_url + PREFIX

    async def identified(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(READ_IMAGE)
        return caller

    def seen(release: Release, name: str, caller: Caller) -> dict[str, str] | None:
        said = _properties(release.root, name)
        allowed = said is not None and release.access.allows(
            caller.groups, dataset_type=said.get(DATASET_TYPE)
        )
        return said if allowed else None

    @routes.api_route("/list", methods=_READ, summary="All HiPS")
    async def every(request: Request) -> Response:
        caller = await identified(request)
        blocks = []
        for release in await run_in_threadpool(context.store.published):
            for name in _surveys(release.root):
                if (said := seen(release, name, caller)) is not None:
                    url = f"{base}/{release.name}/{name}"
                    lines = {**said, "hips_service_url": url}
                    blocks.append("".join(f"{key:<20} = {lines[key]}\n" for key in lines))
        return PlainTextResponse("\n".join(blocks))

    @routes.api_route("/{release}/{name}/{place:path}", methods=_READ, summary="A tile of a HiPS")
    async def tile(request: Request, release: str, name: str, place: str) -> Response:
        caller = await identified(request)
        for found in context.store.published():
            if found.name != release or not _NAME.fullmatch(name):
                continue
            if seen(found, name, caller) is None:
                break
            path = found.root / FOLDER / name / place
            if not _PLACE.fullmatch(place) or not path.is_file():
                raise NoTileError(f"{release}/{name} has no {place[:100]}.")
            kept = "public" if caller.name is None else "private"
            headers = {"Cache-Control": f"{kept}, max-age={_AGE}", "Vary": "Authorization"}
            kind = _TYPES.get(path.suffix, "text/plain")
            return FileResponse(path, media_type=kind, headers=headers)
        raise NoTileError(
            f"There is no HiPS {name} of {release} that you may see; see {base}/list."
        )

    return routes


@lru_cache(maxsize=256)
def _surveys(root: Path) -> tuple[str, ...]:
    """Give the HiPS of a version, which never changes once it is published."""
    try:
        entries = sorted((root / FOLDER).iterdir())
    except OSError:
        return ()
    return tuple(e.name for e in entries if _NAME.fullmatch(e.name))


@lru_cache(maxsize=256)
def _properties(root: Path, name: str) -> dict[str, str] | None:
    return properties(root / FOLDER / name) if name in _surveys(root) else None
