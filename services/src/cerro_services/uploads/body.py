"""A request whose whole body is one table."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from cerro_services.parameters import Spool, TooLargeError, drain
from cerro_services.scratch import Scratch
from cerro_services.uploads.errors import UploadTooLargeError
from cerro_services.uploads.model import Upload

_BUFFER = 1 << 20


async def body_of(request: Request, name: str, spool: Spool) -> tuple[Upload, Scratch]:
    """Take the body of a request onto disk, as it arrives.

    Parameters
    ----------
    request
        PUT or POST.
    name
        What its table is called, for errors.
    spool
        Where it goes, and how long it may be.

    Returns
    -------
    tuple of Upload and Scratch
        The file and its folder, which is removed with the latter.

    Raises
    ------
    UploadTooLargeError
        It is longer than may be; what follows is not kept.
    """
    scratch = Scratch(spool.parent)
    path = scratch.path / "body"
    too_long = UploadTooLargeError(
        name, f"has more than {spool.longest:,} bytes, which is all that you may send."
    )
    length = request.headers.get("content-length", "0")
    try:
        if length.isdigit() and int(length) > spool.longest:
            raise too_long
        size = 0
        pending: list[bytes] = []
        with path.open("wb") as sink:
            async for chunk in request.stream():
                size += len(chunk)
                if size > spool.longest:
                    raise too_long
                pending.append(chunk)
                if sum(map(len, pending)) > _BUFFER:
                    await run_in_threadpool(sink.writelines, pending)
                    pending = []
            sink.writelines(pending)
    except BaseException as error:
        scratch.remove()
        if isinstance(error, TooLargeError):
            await drain(request)
        raise
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Upload(name, path, kind), scratch
