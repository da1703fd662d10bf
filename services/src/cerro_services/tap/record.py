"""How a query went, for the log and the metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import structlog

from cerro_services import metrics
from cerro_services.errors import CerroError
from cerro_services.formats import Rows
from cerro_services.tap.question import Question

log = structlog.get_logger("cerro.query")

_LOGGED = 2000
"""Characters of a query that go into the log."""


@dataclass
class Seconds:
    """Where the time of an answer went.

    Parameters
    ----------
    parse
        From ADQL to SQL.
    plan
        Until the engine gives its first rows.
    execute
        Waiting for further rows.
    write
        From rows to the document.
    """

    parse: float = 0.0
    plan: float = 0.0
    execute: float = 0.0
    write: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.parse + self.plan + self.execute + self.write


def record(
    question: Question,
    rows: Rows,
    seconds: Seconds,
    size: int,
    error: CerroError | None,
    *,
    who: str,
    address: str | None,
    mode: str,
    job: str | None,
) -> None:
    """Log and count a query that ended.

    Parameters
    ----------
    question
        What was asked.
    rows
        What was written.
    seconds
        Where the time went.
    size
        Bytes that were written.
    error
        Why it failed or was stopped; None if it did neither.
    who, address
        Who asked, and where from.
    mode
        ``sync`` or ``async``.
    job
        The job it belongs to.
    """
    outcome = error.code if error is not None else "ok"
    spent = asdict(seconds)
    metrics.query(
        mode=mode,
        format=question.form.name,
        outcome=outcome,
        rows=rows.count,
        bytes=size,
        seconds=spent,
    )
    log.info(
        "query",
        who=who,
        address=address,
        mode=mode,
        job=job,
        runid=question.runid,
        outcome=outcome,
        error=error.message if error is not None else None,
        rows=rows.count,
        bytes=size,
        overflow=rows.overflow,
        format=question.form.name,
        uploads=len(question.uploads),
        **{f"{phase}_s": round(took, 6) for phase, took in spent.items()},
        query=question.adql[:_LOGGED],
    )
