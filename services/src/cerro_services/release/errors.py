"""What can go wrong with a release, in words for the data manager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cerro_services.errors import CerroError


class ReleaseError(CerroError, code="release_error", status=400):
    """A release, its description or its schema is not as it should be."""


class ReleaseNotFound(ReleaseError, code="release_not_found", status=404):  # noqa: N818 - the name is part of the agreed API
    """No release, or no such version of it, is in the store."""


class SchemaError(ReleaseError, code="schema_invalid"):
    """A Felis schema is not valid, or says something that a release cannot hold."""


class ReleaseBusyError(ReleaseError, code="release_busy", status=409):
    """Another process writes to the same release."""


class DiskFullError(ReleaseError, code="disk_full", status=507):
    """The disk is full."""


class DamagedError(ReleaseError, code="release_damaged", status=500):
    """A stored release does not match its manifest."""


class CheckError(ReleaseError, code="release_unfit", status=409):
    """A draft is not fit to be published.

    Parameters
    ----------
    name
        The release.
    problems
        What must be mended, one line each.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"Release {name!r} is not published; mend this first:{lines}")


class DataError(ReleaseError, code="data_invalid"):
    """A table to be ingested does not match its schema.

    Parameters
    ----------
    problem
        What is wrong, and what to do.
    file
        The file that holds the fault.
    column
        The column at fault.
    row
        The row in that file, counted from 1 without any header.
    value
        The offending value.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        column: str | None = None,
        row: int | None = None,
        value: object = None,
    ) -> None:
        self.problem, self.file, self.column, self.row, self.value = (
            problem,
            file,
            column,
            row,
            value,
        )
        where = ", ".join(
            part
            for part in (
                f"{file}" if file is not None else "",
                f"column {column}" if column is not None else "",
                f"row {row:,}" if row is not None else "",
            )
            if part
        )
        shown = f" (value {_shorten(value)})" if value is not None else ""
        super().__init__(f"{where}: {problem}{shown}" if where else f"{problem}{shown}")


def _shorten(value: object, width: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"
