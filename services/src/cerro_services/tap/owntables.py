"""Users' tables over HTTP, as CADC's YouCat has them (TAP 1.2 WD): make, fill, describe, drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from starlette.responses import PlainTextResponse

from cerro_services import headers, uploads, usertables
from cerro_services.access import Caller, UnauthorizedError
from cerro_services.context import Context
from cerro_services.parameters import ParameterError, read_body
from cerro_services.scratch import Scratch
from cerro_services.uploads import Upload, UploadLimits
from cerro_services.uploads.body import body_of
from cerro_services.uploads.unpack import is_votable
from cerro_services.usertables import (
    OWN,
    WRITE_TABLES,
    Sharing,
    UserTable,
    UserTableError,
    UserTableNotFoundError,
)
from cerro_services.usertables.model import SHARED

_XML = frozenset({"text/xml", "application/xml"})
_DESCRIPTION = 16 << 20
"""Bytes of a description at most."""
_HEADERS = ("x-vosi-auth-read", "x-vosi-group-read", "x-vosi-group-write")


def own_tables(context: Context) -> APIRouter:
    """Make the routes.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter()
    tables = usertables.of(context)

    async def writing(request: Request) -> Caller:
        caller = await context.callers.identify(request.headers.get("authorization"))
        caller.require(WRITE_TABLES)
        return caller

    async def body(request: Request, caller: Caller, name: str) -> tuple[Upload, Scratch]:
        if caller.name is None:
            raise UnauthorizedError("Tables are kept for users: send a token.")
        return await body_of(request, name, uploads.spool_of(context, caller))

    async def work[T](request: Request, caller: Caller, step: Callable[[], T]) -> T:
        address = request.client.host if request.client is not None else ""
        async with context.slots.of(caller, address):
            return await asyncio.get_running_loop().run_in_executor(context.workers, step)

    @routes.put("/tables/{name}", summary="Keep a table of one's own")
    async def create(request: Request, name: str) -> Response:
        caller = await writing(request)
        sharing = _sharing(request, Sharing())
        upload, scratch = await body(request, caller, name)
        limits = uploads.limits_of(context, caller)
        try:
            table = await work(
                request, caller, lambda: _created(tables, caller, name, upload, limits, sharing)
            )
        finally:
            scratch.remove()
        place = f"{context.settings.base_url}/api/tap/tables/{OWN}.{table.name}"
        return PlainTextResponse(_summary(table), 201, headers={"Location": place})

    @routes.post("/tables/{name}", summary="Describe, share or keep an own table, or add rows")
    async def change(request: Request, name: str) -> Response:
        caller = await writing(request)
        upload, scratch = await body(request, caller, name)
        limits = uploads.limits_of(context, caller)
        try:
            await work(
                request, caller, lambda: _changed(tables, caller, name, upload, limits, request)
            )
        finally:
            scratch.remove()
        return Response(status_code=204)

    @routes.post("/load/{name}", summary="Add rows to an own table")
    async def load(request: Request, name: str) -> Response:
        caller = await writing(request)
        upload, scratch = await body(request, caller, name)
        limits = uploads.limits_of(context, caller)
        try:
            table = await work(
                request, caller, lambda: _appended(tables, caller, name, upload, limits)
            )
        finally:
            scratch.remove()
        return PlainTextResponse(_summary(table))

    @routes.delete("/tables/{name}", summary="Drop an own table")
    async def drop(request: Request, name: str) -> Response:
        caller = await writing(request)
        await work(request, caller, lambda: tables.drop(caller, name))
        return Response(status_code=204)

    @routes.api_route("/permissions/{name}", methods=["GET", "HEAD"], summary="Who may use a table")
    async def permissions(request: Request, name: str) -> Response:
        caller = await context.callers.identify(request.headers.get("authorization"))
        table = await work(request, caller, lambda: tables.find(caller, name))
        return PlainTextResponse(_permissions(table))

    @routes.post("/permissions/{name}", summary="Say who may use an own table")
    async def permit(request: Request, name: str) -> Response:
        caller = await writing(request)
        text = (await read_body(request, longest=4096)).decode("utf-8", "replace")

        def step() -> None:
            before = tables.find(caller, name).sharing
            tables.share(caller, name, _permitted(text, before))

        await work(request, caller, step)
        return PlainTextResponse("")

    return routes


def headers_of(context: Context, caller: Caller, name: str) -> dict[str, str]:
    """Give the headers that say whose a table is, who may use it, and until when it is kept.

    Parameters
    ----------
    context
        What the services share.
    caller
        Who asks.
    name
        A table; of one that no user owns nothing is said.
    """
    if not name.lower().startswith((f"{OWN}.", SHARED, f'"{SHARED}')):
        return {}
    try:
        table = usertables.of(context).find(caller, name)
    except UserTableNotFoundError:
        return {}
    expires = datetime.fromtimestamp(table.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "x-vosi-owner": headers.written(table.owner),
        "x-vosi-auth-read": str(not table.sharing.public).lower(),
        "x-vosi-group-read": headers.written(table.sharing.read or "null"),
        "x-vosi-group-write": headers.written(table.sharing.write or "null"),
        "X-Cerro-Expires": expires,
    }


def _created(
    tables: usertables.UserTables,
    caller: Caller,
    name: str,
    upload: Upload,
    limits: UploadLimits,
    sharing: Sharing,
) -> UserTable:
    document = _description(upload)
    if document is not None:
        return tables.define(caller, name, document, sharing)
    return tables.create(caller, name, uploads.read(upload, limits), sharing)


def _changed(
    tables: usertables.UserTables,
    caller: Caller,
    name: str,
    upload: Upload,
    limits: UploadLimits,
    request: Request,
) -> None:
    sharing = _sharing(request, tables.find(caller, name).sharing)
    document = _description(upload)
    if document is not None:
        tables.describe(caller, name, document)
    elif upload.path.stat().st_size:
        _appended(tables, caller, name, upload, limits)
    if sharing != tables.find(caller, name).sharing:
        tables.share(caller, name, sharing)
    tables.keep(caller, name, _until(request.query_params.get("expires")))


def _appended(
    tables: usertables.UserTables,
    caller: Caller,
    name: str,
    upload: Upload,
    limits: UploadLimits,
) -> UserTable:
    return tables.append(caller, name, uploads.checked(upload, limits))


def _description(upload: Upload) -> bytes | None:
    """Give a VOSI description; None if the upload is something else."""
    if upload.mime not in _XML and upload.mime:
        return None
    size = upload.path.stat().st_size
    with upload.path.open("rb") as stream:
        head = stream.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head.startswith(b"<") or is_votable(head):
            return None
        if size > _DESCRIPTION:
            raise UserTableError(f"A description has {_DESCRIPTION:,} bytes at most.")
        stream.seek(0)
        return stream.read()


def _sharing(request: Request, before: Sharing) -> Sharing:
    """Read who may use a table from the headers of a request."""
    owner = request.headers.get("x-vosi-owner")
    given = {n: headers.read(request.headers[n]) for n in _HEADERS if n in request.headers}
    if owner is not None:
        raise ParameterError("A table is not given to another owner: leave x-vosi-owner out.")
    auth = given.get("x-vosi-auth-read", "").lower()
    if auth not in {"", "true", "false", "null"}:
        raise ParameterError(f"x-vosi-auth-read is true, false or null, not {auth!r}.")
    return Sharing(
        before.public if not auth else auth == "false",
        _group(given.get("x-vosi-group-read"), before.read),
        _group(given.get("x-vosi-group-write"), before.write),
    )


def _group(text: str | None, before: str | None) -> str | None:
    """Read the name of a group, or its identifier (GMS 1.0 §2.1)."""
    if text is None:
        return before
    text = text.rpartition("?")[2] if text.startswith("ivo://") else text
    return None if text in {"", "null"} else text


def _permissions(table: UserTable) -> str:
    return (
        f"owner={table.owner}\n"
        f"public={str(table.sharing.public).lower()}\n"
        f"r-group={table.sharing.read or ''}\n"
        f"rw-group={table.sharing.write or ''}\n"
    )


def _permitted(text: str, before: Sharing) -> Sharing:
    values: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, value = line.partition("=")
        if key not in {"public", "r-group", "rw-group"} or not equals:
            raise ParameterError(
                f"{line[:80]!r} says nothing: write public=, r-group= or rw-group=, one a line."
            )
        values[key] = value.strip()
    public = values.get("public", str(before.public).lower())
    if public not in {"true", "false"}:
        raise ParameterError(f"public is true or false, not {public!r}.")
    return Sharing(
        public == "true",
        _group(values.get("r-group"), before.read),
        _group(values.get("rw-group"), before.write),
    )


def _until(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(
            f"expires is a time like 2027-01-31T12:00:00Z, not {text!r}."
        ) from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _summary(table: UserTable) -> str:
    until = datetime.fromtimestamp(table.expires, UTC).strftime("%Y-%m-%d")
    return (
        f"{OWN}.{table.name}: {table.nrows:,} rows, {table.nbytes:,} bytes, kept until {until}.\n"
    )
