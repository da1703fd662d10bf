"""TABLEDATA as nearly everybody writes it, by one regular expression instead of an XML parser.

Rows of bare TR and TD without entities, comments or attributes are cut out at the speed of C. The
beginning of the document was parsed as XML, and whatever is not plain is left to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

_CHUNK = 4 << 20
_BEGIN, _END = b"<TABLEDATA>", b"</TABLEDATA>"
_ROW_END = b"</TR>"
_MOST_COLUMNS = 256
_BLANKS = re.compile(r"(</TD>|</TR>|<TR>)[ \t\r\n]+")
_EMPTY = re.compile(r"<TD ?/>")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff&\r]|<[!?]")


class NotPlainError(Exception):
    """The rows are not plain; an XML parser must read them."""


def rows(stream: IO[bytes], columns: int) -> Iterator[Sequence[tuple[str, ...]]]:
    """Cut out the rows of a TABLEDATA.

    Parameters
    ----------
    stream
        A document in UTF-8, at the beginning of its TABLEDATA element.
    columns
        Cells of a row.

    Yields
    ------
    sequence of tuple of str
        Some rows, each with as many cells.

    Raises
    ------
    NotPlainError
        At the first chunk that is not plain.
    """
    if columns > _MOST_COLUMNS or stream.read(len(_BEGIN)) != _BEGIN:
        raise NotPlainError
    row = re.compile("<TR>" + "<TD>([^<]*)</TD>" * columns + "</TR>")
    around = len("<TR></TR>") + columns * len("<TD></TD>")
    rest = b""
    while True:
        data = stream.read(_CHUNK)
        rest += data
        end = rest.find(_END)
        stop = end if end >= 0 else rest.rfind(_ROW_END) + len(_ROW_END)
        if (not data and end < 0) or (stop < len(_ROW_END) and end < 0):
            raise NotPlainError
        yield _cut(rest[:stop], row, around, columns)
        if end >= 0:
            return
        rest = rest[stop:]


def _cut(data: bytes, row: re.Pattern[str], around: int, columns: int) -> Sequence[tuple[str, ...]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPlainError from error
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if _FORBIDDEN.search(text):
        raise NotPlainError
    text = _BLANKS.sub(r"\1", text.lstrip())
    if "/>" in text:
        text = _EMPTY.sub("<TD></TD>", text)
        text = _BLANKS.sub(r"\1", text)
    found = row.findall(text)
    if columns == 1:
        found = [(cell,) for cell in found]
    # Every character must belong to a row that was found.
    if sum(map(len, (cell for cells in found for cell in cells))) + around * len(found) != len(
        text
    ):
        raise NotPlainError
    return found
