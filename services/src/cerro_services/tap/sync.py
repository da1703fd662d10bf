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
    parameters = await Parameters.read(request, longest=4 * context.settings.query_limit)
    question = Question.read(parameters, request.headers.get("accept"), context.settings)
    address = request.client.host if request.client is not None else ""
    if request.method == "HEAD":
        # The query is checked, not run: what it would answer with is known without its rows.
        seen = views.view(context.store.published(), caller.groups)
        async with context.slots.of(caller, address):
            await run_in_threadpool(views.query, seen, question.adql)
        return Response(headers={"Content-Type": question.form.mime})
    answer = Answer(context, views, question, caller, address)
    return await begun(context, answer, request.receive)
