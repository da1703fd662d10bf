"""What is wrong with a query, and where."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from cerro_services.errors import CerroError

if TYPE_CHECKING:
    from collections.abc import Iterable


class AdqlError(CerroError, code="adql_error", status=400):
    """A query that is not ADQL, or names what is not there.

    Parameters
    ----------
    message
        What is wrong and what would be right.
    span
        First and last character (inclusive, counted from 0) of the part at fault; None if the
        whole query is.
    """

    def __init__(self, message: str, span: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.span = span

    def located(self, text: str) -> AdqlError:
        """Give the same error with line, column and a caret under the part at fault.

        Parameters
        ----------
        text
            The query.
        """
        if self.span is None:
            return self
        start = min(self.span[0], len(text))
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", start)
        line = text[line_start : line_end if line_end >= 0 else len(text)]
        number, column = text.count("\n", 0, start) + 1, start - line_start + 1
        width = max(1, min(self.span[1] - start + 1, len(line) - column + 1))
        # A long line is shown around the fault only.
        first = max(0, column - 1 - 60)
        shown = line[first : first + 120].replace("\t", " ")
        caret = " " * (column - 1 - first) + "^" * min(width, 120)
        return AdqlError(f"line {number}, column {column}: {self.message}\n  {shown}\n  {caret}")


class NotSupportedError(AdqlError, code="adql_not_supported"):
    """ADQL that this service does not run (yet)."""


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Say which known names come closest to an unknown one.

    Returns
    -------
    str
        A sentence that begins with a space, or nothing.
    """
    known = {candidate.lower(): candidate for candidate in names}
    close = get_close_matches(name.lower(), known, n=3, cutoff=cutoff)
    if not close:
        return ""
    return f" Did you mean {' or '.join(known[match] for match in close)}?"
