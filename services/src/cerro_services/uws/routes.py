"""The routes of UWS 1.1 for one kind of job."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from cerro_services.context import Context
from cerro_services.uws import documents
from cerro_services.uws.jobs import Jobs, Who
from cerro_services.uws.kinds import Kind
from cerro_services.uws.model import ACTIVE, Job, JobError, JobNotFoundError, Pairs, Phase, iso
from cerro_services.uws.watch import Watch

_READ = ["GET", "HEAD"]
_FRESH = {"Cache-Control": "no-store"}


def routes(context: Context, kind: Kind) -> APIRouter:
    """Make the routes of a kind of job.

    Parameters
    ----------
    context
        What the services share.
    kind
        The kind.
    """
    return _Routes(context, kind).router


class _Routes:
    """The routes: thin, as `Jobs` does the work in threads."""

    def __init__(self, context: Context, kind: Kind) -> None:
        self._context, self._kind = context, kind
        self._jobs = Jobs(context, kind)
        self._watch = Watch(self._jobs.store)
        settings = context.settings
        # Nobody has said under which address users know us: it is the one they have used.
        self._told = settings.base_url if "external_url" in settings.model_fields_set else None
        self.router = APIRouter(prefix=kind.prefix, tags=["jobs"])
        one = "/{identity}"
        for path, methods, handler, summary in (
            ("", _READ, self._list, "Your jobs"),
            ("", ["POST"], self._create, "Make a job"),
            (one, _READ, self._job, "A job; WAIT=s waits for its phase to change"),
            (one, ["POST"], self._act, "Delete a job (ACTION=DELETE), or change it"),
            (one, ["DELETE"], self._delete, "Delete a job with its results"),
            (f"{one}/results", _READ, self._results, "The results of a job"),
            (f"{one}/results/{{name}}", _READ, self._result, "A result of a job"),
            (f"{one}/error", _READ, self._error, "Why a job did not complete"),
            (f"{one}/parameters", _READ, self._parameters, "What a job was asked"),
            (f"{one}/parameters", ["POST"], self._set_parameters, "Change what a job is asked"),
            (f"{one}/{{fact}}", _READ, self._fact, "One fact about a job"),
            (f"{one}/{{fact}}", ["POST"], self._set_fact, "Run, abort or limit a job"),
        ):
            self.router.add_api_route(
                path, handler, methods=methods, summary=summary, response_model=None
            )

    # ---- the list ----------------------------------------------------------------
    async def _list(self, request: Request) -> Response:
        who = await self._who(request)
        asked = _asked(request)
        after, last = _last(asked, "AFTER"), _last(asked, "LAST")
        pages = self._jobs.listing(who, asked.get("PHASE", []), after, last)
        # The first page is read before the response begins, so that a failure has its status.
        first = await run_in_threadpool(next, pages, None)
        found = [] if first is None else [first]
        pieces = documents.jobs_document(chain(found, pages), self._url(request))
        return StreamingResponse(
            iterate_in_threadpool(pieces), media_type=documents.MIME, headers=_FRESH
        )

    async def _create(self, request: Request) -> Response:
        who = await self._who(request)
        identity = await run_in_threadpool(self._jobs.new_identity, who)
        try:
            pairs = await self._kind.receive(request, self._jobs.files.folder(identity), who.caller)
            job = await run_in_threadpool(self._jobs.create, who, identity, pairs)
        except BaseException:
            await run_in_threadpool(self._jobs.files.remove, identity)
            raise
        return self._see(request, job.id)

    # ---- one job -----------------------------------------------------------------
    async def _job(self, request: Request, identity: str) -> Response:
        who = await self._who(request)
        job = await run_in_threadpool(self._jobs.get, who, identity)
        asked = _asked(request)
        seconds = self._patience(_last(asked, "WAIT"))
        wanted = _last(asked, "PHASE")
        if wanted is not None and wanted.upper() not in list(Phase):
            raise JobError(f"There is no phase {wanted!r}; there are {', '.join(Phase)}.")
        if seconds and job.phase in ACTIVE and (wanted or job.phase).upper() == job.phase:
            await self._watch.change(job.id, job.phase, seconds)
            job = await run_in_threadpool(self._jobs.get, who, identity)
        document = documents.job_document(job, self._url(request, job.id))
        return Response(document, media_type=documents.MIME, headers=_FRESH)

    async def _act(self, request: Request, identity: str) -> Response:
        who, job = await self._found(request, identity)
        pairs = await self._received(request, who, job)
        given = dict(pairs)
        action = given.get("ACTION")
        if action is not None:
            if action.upper() != "DELETE":
                raise JobError(f"ACTION can be DELETE, not {action}.")
            await run_in_threadpool(self._jobs.delete, job)
            return self._see(request)
        await run_in_threadpool(self._change, who, job, pairs)
        return self._see(request, job.id)

    async def _delete(self, request: Request, identity: str) -> Response:
        _, job = await self._found(request, identity)
        await run_in_threadpool(self._jobs.delete, job)
        return self._see(request)

    async def _results(self, request: Request, identity: str) -> Response:
        _, job = await self._found(request, identity)
        document = documents.results_document(job, self._url(request, job.id))
        return Response(document, media_type=documents.MIME, headers=_FRESH)

    async def _result(self, request: Request, identity: str, name: str) -> Response:
        _, job = await self._found(request, identity)
        result = job.result(name)
        if result is None:
            where = self._url(request, job.id)
            why = {
                Phase.PENDING: "It has not been run: POST PHASE=RUN to " + where + "/phase.",
                Phase.ERROR: f"It failed: {job.failure.message}" if job.failure else "It failed.",
                Phase.ABORTED: "It was aborted.",
                Phase.COMPLETED: f"{where}/results lists those it has.",
            }.get(job.phase, f"It is {job.phase}.")
            raise JobNotFoundError(f"The job has no result {name!r}. {why}")
        path = self._jobs.files.folder(job.id) / result.file
        if not await run_in_threadpool(path.is_file):
            raise JobNotFoundError("The result is no longer there. Run the job again.")
        headers = {"Cache-Control": "private", **result.headers}
        response = FileResponse(path, headers=headers)
        # Set by hand: the response would add a charset, which a binary format has not.
        response.headers["Content-Type"] = result.mime
        return response

    async def _error(self, request: Request, identity: str) -> Response:
        _, job = await self._found(request, identity)
        if job.failure is None:
            raise JobNotFoundError(f"The job has no error; it is {job.phase}.")
        document, mime = self._kind.failure(job.failure.message)
        return Response(document, headers={"Content-Type": mime, **_FRESH})

    async def _parameters(self, request: Request, identity: str) -> Response:
        _, job = await self._found(request, identity)
        document = documents.parameters_document(job)
        return Response(document, media_type=documents.MIME, headers=_FRESH)

    async def _set_parameters(self, request: Request, identity: str) -> Response:
        who, job = await self._found(request, identity)
        pairs = await self._received(request, who, job)
        await run_in_threadpool(self._jobs.set_parameters, job, pairs)
        return self._see(request, job.id)

    async def _fact(self, request: Request, identity: str, fact: str) -> Response:
        _, job = await self._found(request, identity)
        text = {
            "phase": lambda: str(job.phase),
            "executionduration": lambda: str(job.duration),
            "destruction": lambda: iso(job.destruction),
            "owner": lambda: job.owner or "",
            "quote": lambda: _time(self._jobs.quote(job)),
        }.get(fact)
        if text is None:
            raise JobNotFoundError(f"A job has no {fact}.")
        return PlainTextResponse(await run_in_threadpool(text), headers=_FRESH)

    async def _set_fact(self, request: Request, identity: str, fact: str) -> Response:
        who, job = await self._found(request, identity)
        name = fact.upper()
        if fact not in {"phase", "executionduration", "destruction"}:
            raise JobNotFoundError(f"A job has no {fact} that can be set.")
        pairs = await self._received(request, who, job)
        if name not in dict(pairs):
            raise JobError(f"{name} is missing: what to set.")
        await run_in_threadpool(self._change, who, job, tuple(p for p in pairs if p[0] == name))
        return self._see(request, job.id)

    # ---- inside --------------------------------------------------------------------
    async def _who(self, request: Request) -> Who:
        caller = await self._context.callers.identify(request.headers.get("authorization"))
        caller.require(self._kind.scope)
        return Who(caller, request.client.host if request.client is not None else "")

    async def _found(self, request: Request, identity: str) -> tuple[Who, Job]:
        who = await self._who(request)
        return who, await run_in_threadpool(self._jobs.get, who, identity)

    async def _received(self, request: Request, who: Who, job: Job) -> Pairs:
        return await self._kind.receive(request, self._jobs.files.folder(job.id), who.caller)

    def _change(self, who: Who, job: Job, pairs: Pairs) -> None:
        """Set what a request says of a job, its phase last."""
        setters: dict[str, Callable[[str], None]] = {
            "DESTRUCTION": lambda value: self._jobs.set_destruction(who, job, value),
            "EXECUTIONDURATION": lambda value: self._jobs.set_duration(who, job, value),
            "PHASE": lambda value: self._jobs.set_phase(who, job, value.strip().upper()),
        }
        given = dict(pairs)
        others = tuple(pair for pair in pairs if pair[0] not in setters)
        if others:
            self._jobs.set_parameters(job, others)
        for name, setter in setters.items():
            if name in given:
                setter(given[name])
        if not given:
            raise JobError("There is nothing to set.")

    def _url(self, request: Request, identity: str | None = None) -> str:
        """Give the address of the list, or of a job."""
        base = str(request.base_url).rstrip("/") if self._told is None else self._told
        parts = [base + self._kind.prefix, *([identity] if identity is not None else [])]
        return "/".join(parts)

    def _see(self, request: Request, identity: str | None = None) -> Response:
        return Response(status_code=303, headers={"Location": self._url(request, identity)})

    def _patience(self, text: str | None) -> float:
        if text is None:
            return 0.0
        most = self._context.settings.poll_seconds
        if text.strip() == "-1":
            return most
        if not (text.isascii() and text.isdigit()):
            raise JobError(f"WAIT must be a number of seconds, or -1, not {text!r}.")
        return min(float(text), most)


def _asked(request: Request) -> dict[str, list[str]]:
    """Give the parameters in the address, by name in upper case."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name.upper(), []).append(value)
    return found


def _last(asked: dict[str, list[str]], name: str) -> str | None:
    return next((value for value in reversed(asked.get(name, [])) if value), None)


def _time(instant: float | None) -> str:
    return "" if instant is None else iso(instant)
