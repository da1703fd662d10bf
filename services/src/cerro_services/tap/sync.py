"""Synchronous queries (TAP 1.1 §2.2): from a request to its response."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.parameters import Parameters
from cerro_services.tap.answer import Answer
from cerro_services.tap.question import LANGUAGES, Question
from cerro_services.tap.response import begun
from cerro_services.tap.views import Views
from cerro_services.uploads import Upload, limits_of, receive, scratch_of, spool_of

__all__ = ["LANGUAGES", "Answer", "Question", "Views", "answered"]


async def answered(request: Request, context: Context, views: Views, caller: Caller) -> Response:
    """Answer a synchronous query.

    Parameters
    ----------
    request
        GET, HEAD or POST.
    context
        What the services share.
    views
        What callers see.
    caller
        Who asks.

    Raises
    ------
    CerroError
        The query or a parameter is wrong, or the query failed before anything was sent.
    """
    limit = 4 * context.settings.query_limit
    parameters = await Parameters.read(request, longest=limit, spool=spool_of(context, caller))
    scratch = scratch_of(context) if parameters.values.get("UPLOAD") else None
    try:
        uploads: tuple[Upload, ...] = ()
        if scratch is not None:
            uploads = await receive(parameters, scratch.path, limits_of(context, caller))
        question = Question.read(
            parameters, request.headers.get("accept"), context.settings, uploads
        )
        address = request.client.host if request.client is not None else ""
        answer = Answer(context, views, question, caller, address, scratch=scratch)
        if request.method == "HEAD":
            return await _headers(context, answer)
        return await begun(context, answer, request.receive)
    except BaseException:
        if scratch is not None:
            await run_in_threadpool(scratch.remove)
        raise


async def _headers(context: Context, answer: Answer) -> Response:
    """Answer HEAD: the query is checked, not run, for its headers are known without its rows."""
    try:
        async with context.slots.of(answer.caller, answer.address):
            await run_in_threadpool(answer.compiled)
    finally:
        await run_in_threadpool(answer.close)
    response = Response(headers=answer.headers)
    # Nobody knows it, and none is not the same as no bytes.
    del response.headers["content-length"]
    return response
