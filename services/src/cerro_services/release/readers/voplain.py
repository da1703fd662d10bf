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
_BLANK = "[ \\t\\r\\n]*"
_EMPTY = re.compile(r"<TD ?/>")
_CONTROLS = bytes(set(range(32)) - set(b"\t\r\n"))
_NOT_XML = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")
"""U+FFFE and U+FFFF."""


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
    row = re.compile(f"<TR>{_BLANK}" + f"<TD>([^<]*)</TD>{_BLANK}" * columns + "</TR>")
    rest = b""
    while True:
        data = stream.read(_CHUNK)
        rest += data
        end = rest.find(_END)
        stop = end if end >= 0 else rest.rfind(_ROW_END) + len(_ROW_END)
        if (not data and end < 0) or (stop < len(_ROW_END) and end < 0):
            raise NotPlainError
        yield _cut(rest[:stop], row, columns)
        if end >= 0:
            return
        rest = rest[stop:]


def _cut(data: bytes, row: re.Pattern[str], columns: int) -> Sequence[tuple[str, ...]]:
    if b"&" in data or len(data.translate(None, _CONTROLS)) != len(data):
        raise NotPlainError
    if b"\xef" in data and any(character in data for character in _NOT_XML):
        raise NotPlainError
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPlainError from error
    if "\r" in text:
        # As XML has it (§2.11).
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "/>" in text:
        text = _EMPTY.sub("<TD></TD>", text)
    found = row.findall(text)
    # Every tag must belong to a row that was found; a comment would be one more.
    if text.count("<") != len(found) * (2 + 2 * columns):
        raise NotPlainError
    return [(cell,) for cell in found] if columns == 1 else found
