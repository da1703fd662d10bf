"""Static files: ours and the house's look, addressed by content so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse

from cerro import brand

_TYPES = {
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


@cache
def files() -> dict[str, Path]:
    """Give the static files by name: the brand's, and the portal's own beside them."""
    folders = (brand.folder(), Path(__file__).parent / "static")
    return {
        path.name: path for folder in folders for path in folder.iterdir() if path.suffix in _TYPES
    }


@cache
def _digest(name: str) -> str:
    return hashlib.sha256(files()[name].read_bytes()).hexdigest()[:12]


def address(name: str) -> str:
    """Give the address of a static file; it changes when the file's content does."""
    return f"/static/cerro/{name}?v={_digest(name)}"


def respond(request: Request, name: str) -> FileResponse:
    """Send a static file.

    Raises
    ------
    HTTPException
        404 if there is no such file.
    """
    path = files().get(name)
    if path is None:
        raise HTTPException(404)
    current = request.query_params.get("v") == _digest(name)
    lasts = "public, max-age=31536000, immutable" if current else "public, max-age=3600"
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": lasts})
