"""The XML of jobs and of lists of jobs (UWS 1.1 §3, schema UWS-v1.0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from cerro_services.uws.model import Job, Phase, iso
from cerro_services.voxml import NAMESPACES, add, clean, document, root

MIME = "text/xml"
_NIL = f"{{{NAMESPACES['xsi']}}}nil"
_XLINK = f"{{{NAMESPACES['xlink']}}}"


def job_document(job: Job, url: str) -> bytes:
    """Write a job.

    Parameters
    ----------
    job
        The job.
    url
        Its address.
    """
    made = root("uws", "job", "xlink")
    made.set("version", "1.1")
    _add(made, "jobId", job.id)
    if job.run_id is not None:
        _add(made, "runId", job.run_id)
    _nillable(made, "ownerId", job.owner)
    _add(made, "phase", job.phase)
    _nillable(made, "quote", None if job.quote is None else iso(job.quote))
    _add(made, "creationTime", iso(job.created))
    for name, when in (("startTime", job.started), ("endTime", job.ended)):
        _nillable(made, name, None if when is None else iso(when))
    _add(made, "executionDuration", job.duration)
    _nillable(made, "destruction", iso(job.destruction))
    made.append(_parameters(job))
    made.append(_results(job, url))
    if job.failure is not None:
        kind = "transient" if job.failure.transient else "fatal"
        summary = _add(made, "errorSummary", None, type=kind, hasDetail="true")
        _add(summary, "message", job.failure.message)
    _progress(made, job)
    return document(made)


def parameters_document(job: Job) -> bytes:
    """Write the parameters of a job."""
    return document(_parameters(job))


def results_document(job: Job, url: str) -> bytes:
    """Write the list of a job's results.

    Parameters
    ----------
    job
        The job.
    url
        Its address.
    """
    return document(_results(job, url))


def jobs_document(pages: Iterable[Sequence[Any]], url: str) -> Iterator[bytes]:
    """Write a list of jobs, which may be long.

    Parameters
    ----------
    pages
        Jobs, so many at once: id, phase, run_id, owner, created.
    url
        Address of the list.

    Yields
    ------
    bytes
        Pieces of the document.
    """
    yield (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        f'<uws:jobs xmlns:uws="{NAMESPACES["uws"]}" xmlns:xlink="{NAMESPACES["xlink"]}" '
        f'xmlns:xsi="{NAMESPACES["xsi"]}" version="1.1">'
    ).encode()
    base = escape(url, {'"': "&quot;"})
    for page in pages:
        yield "".join(
            f'\n<uws:jobref id="{row.id}" xlink:type="simple" xlink:href="{base}/{row.id}">'
            f"<uws:phase>{row.phase}</uws:phase>{_text('runId', row.run_id)}"
            f"{_text('ownerId', row.owner)}"
            f"<uws:creationTime>{iso(row.created)}</uws:creationTime></uws:jobref>"
            for row in page
        ).encode()
    yield b"\n</uws:jobs>\n"


def _text(name: str, value: str | None) -> str:
    return "" if value is None else f"<uws:{name}>{escape(clean(value))}</uws:{name}>"


def _parameters(job: Job) -> etree._Element:
    made = root("uws", "parameters")
    for name, value in job.parameters:
        _add(made, "parameter", value, id=name)
    return made


def _results(job: Job, url: str) -> etree._Element:
    made = root("uws", "results", "xlink")
    for one in job.results:
        element = _add(made, "result", None, id=one.id, size=str(one.size))
        element.set("mime-type", one.mime)
        element.set(f"{_XLINK}type", "simple")
        element.set(f"{_XLINK}href", f"{url}/results/{one.id}")
    return made


def _progress(parent: etree._Element, job: Job) -> None:
    """Say how far the job is, in elements of no schema, as UWS leaves them to the service."""
    facts = {
        "percent": job.progress.percent,
        "rows": job.progress.rows,
        "bytes": job.progress.bytes,
        "rowsRead": job.progress.rows_read,
        "estimatedSeconds": job.progress.seconds,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    if not known or job.phase not in {Phase.EXECUTING, Phase.COMPLETED}:
        return
    progress = add(_add(parent, "jobInfo"), "progress")
    for name, value in known.items():
        add(progress, name, f"{value:.1f}" if isinstance(value, float) else value)


def _nillable(parent: etree._Element, name: str, value: str | None) -> None:
    element = _add(parent, name, value)
    if value is None:
        element.set(_NIL, "true")


def _add(
    parent: etree._Element, name: str, text: object = None, **attributes: str | None
) -> etree._Element:
    return add(parent, name, text, attributes, prefix="uws")
