"""What can go wrong with a release, in words for the data manager."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from cerro_services.errors import CerroError


class ReleaseError(CerroError):
    """A release, its description or its schema is not as it should be."""

    code: ClassVar[str] = "release_error"
    status: ClassVar[int] = 400


class ReleaseNotFound(ReleaseError):  # noqa: N818 - the name is part of the agreed API
    """No release, or no such version of it, is in the store."""

    code: ClassVar[str] = "release_not_found"
    status: ClassVar[int] = 404


class SchemaError(ReleaseError):
    """A Felis schema is not valid, or says something that a release cannot hold."""

    code: ClassVar[str] = "schema_invalid"


class ReleaseBusyError(ReleaseError):
    """Another process writes to the same release."""

    code: ClassVar[str] = "release_busy"
    status: ClassVar[int] = 409


class DiskFullError(ReleaseError):
    """The disk is full."""

    code: ClassVar[str] = "disk_full"
    status: ClassVar[int] = 507


class DamagedError(ReleaseError):
    """A stored release does not match its manifest."""

    code: ClassVar[str] = "release_damaged"
    status: ClassVar[int] = 500


class CheckError(ReleaseError):
    """A draft is not fit to be published.

    Parameters
    ----------
    name
        The release.
    problems
        What must be mended, one line each.
    """

    code: ClassVar[str] = "release_unfit"
    status: ClassVar[int] = 409

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"Release {name!r} is not published; mend this first:{lines}")


class DataError(ReleaseError):
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

    code: ClassVar[str] = "data_invalid"

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
