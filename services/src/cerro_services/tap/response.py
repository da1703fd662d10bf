"""A result on its way to the client, and the end of its query if the client leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cerro_services.context import Context
from cerro_services.engine import QueryCancelledError
from cerro_services.tap.answer import Answer

log = logging.getLogger(__name__)


async def begun(context: Context, answer: Answer, receive: Receive) -> Response:
    """Start a query and give the response for it.

    Parameters
    ----------
    context
        What the services share.
    answer
        The answer, not begun.
    receive
        Tells when the client leaves.

    Raises
    ------
    CerroError
        The query is wrong, or failed before anything was sent.
    """
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        first, whole = await _work(context, answer, answer.begin, gone)
    except BaseException:
        gone.cancel()
        raise
    headers = {**answer.headers, "Cache-Control": "no-store"}
    if whole:
        gone.cancel()
        return Response(first, headers=headers)
    return _Streaming(context, answer, first, gone, headers)


class _Streaming(Response):
    """A result that is sent while it is written."""

    def __init__(
        self,
        context: Context,
        answer: Answer,
        first: bytes,
        gone: asyncio.Future[None],
        headers: dict[str, str],
    ) -> None:
        super().__init__(None, headers=headers)
        del self.headers["content-length"]
        self._context = context
        self._answer = answer
        self._first = first
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        following: asyncio.Future[bytes | None] | None = None
        try:
            await send(start)
            piece: bytes | None = self._first
            while piece is not None:
                # The next piece is written while this one is sent, and no more than that one.
                following = asyncio.ensure_future(self._next())
                if piece:
                    # Whoever reads no further must not hold the query's memory for ever.
                    async with asyncio.timeout(self._context.settings.stall_seconds):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await following
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (QueryCancelledError, OSError) as error:
            # The client left, or must see that the document ends too early: only a response that
            # is broken off says so.
            self._answer.stop()
            if not self._gone.done():
                log.warning("a result was broken off: %s", error)
                raise ClientDisconnect from error
        except BaseException:
            self._answer.stop()
            raise
        finally:
            if following is not None and not following.done():
                following.cancel()
                await asyncio.wait({following})
            if following is not None and not following.cancelled():
                following.exception()
            self._gone.cancel()
            await _close(self._context, self._answer)

    async def _next(self) -> bytes | None:
        return await _work(self._context, self._answer, self._answer.next, self._gone)


async def _work[T](
    context: Context, answer: Answer, step: Callable[[], T], gone: asyncio.Future[None]
) -> T:
    """Take one step of an answer in a worker, unless the client leaves or its time ends."""
    loop = asyncio.get_running_loop()
    async with context.slots.of(answer.caller, answer.address, begun=step != answer.begin):
        if gone.done():
            answer.stop()
            raise QueryCancelledError("The client left.")
        work: asyncio.Future[T] = loop.run_in_executor(context.workers, step)
        try:
            both: set[asyncio.Future[Any]] = {work, gone}
            await asyncio.wait(
                both, timeout=answer.seconds_left, return_when=asyncio.FIRST_COMPLETED
            )
            await _stopped(answer, work, late=not gone.done())
        except asyncio.CancelledError:
            await _stopped(answer, work, late=False)
            raise
        return await work


async def _stopped(answer: Answer, work: asyncio.Future[Any], *, late: bool) -> None:
    """Stop the query until its worker has noticed: before it runs, nothing can be stopped."""
    while not work.done():
        answer.stop(late=late)
        await asyncio.wait({work}, timeout=0.1)


async def _close(context: Context, answer: Answer) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.shield(loop.run_in_executor(context.workers, answer.close))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
