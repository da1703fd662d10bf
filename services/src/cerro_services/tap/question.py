"""What a client asks (TAP 1.1 §2): the same for synchronous queries and for jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from cerro_services.config import Settings
from cerro_services.formats import Format, choose
from cerro_services.parameters import ParameterError, Parameters
from cerro_services.uploads import Upload

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")
_RUNID = 64
"""Characters of a RUNID (UWS 1.1 §2.1.3)."""


@dataclass(frozen=True)
class Question:
    """What a client asks.

    Parameters
    ----------
    adql
        The query.
    form
        Format of the answer.
    maxrec
        Rows at most.
    runid
        The client's own name for it; goes into the log.
    uploads
        Tables that came with it, as `cerro_services.uploads.receive` gives them.
    """

    adql: str
    form: Format
    maxrec: int
    runid: str | None = None
    uploads: tuple[Upload, ...] = ()

    @classmethod
    def read(
        cls,
        parameters: Parameters,
        accept: str | None,
        settings: Settings,
        uploads: Sequence[Upload] = (),
    ) -> Question:
        """Read the parameters of TAP.

        Parameters
        ----------
        parameters
            Of the request or job.
        accept
            The Accept header; None of a job.
        settings
            The limits.
        uploads
            Tables that came with it.

        Raises
        ------
        ParameterError
            One is missing or wrong.
        FormatError
            The format is not offered.
        """
        request = parameters.get("REQUEST")
        if request is not None and request.lower() != "doquery":
            raise ParameterError(
                f"REQUEST={request} is not offered; write REQUEST=doQuery or none."
            )
        language = parameters.get("LANG") or "ADQL"
        if language.upper() not in LANGUAGES:
            raise ParameterError(
                f"LANG={language} is not offered; write one of {', '.join(LANGUAGES)}."
            )
        if any(parameters.values.get("UPLOAD", ())) and not uploads:
            raise ParameterError("UPLOAD names tables, but none came with the request.")
        adql = parameters.get("QUERY")
        if adql is None or not adql.strip():
            raise ParameterError("QUERY is missing: the ADQL to answer." + _sent(parameters))
        if len(adql) > settings.query_limit:
            raise ParameterError(
                f"QUERY has {len(adql):,} characters; at most {settings.query_limit:,} are read."
            )
        form = choose(parameters.get("RESPONSEFORMAT", "FORMAT"), accept)
        maxrec = parameters.integer("MAXREC")
        wanted = settings.maxrec_default if maxrec is None else maxrec
        runid = parameters.get("RUNID")
        return cls(
            adql,
            form,
            min(wanted, settings.maxrec_hard),
            None if runid is None else runid[:_RUNID],
            tuple(uploads),
        )


def _sent(parameters: Parameters) -> str:
    """Say which of the parameters that came may have been meant as QUERY."""
    close = get_close_matches("QUERY", parameters.values, n=1)
    near = [name for name in close if name != "QUERY"]
    return f" {near[0]} is no parameter; did you mean QUERY?" if near else ""
