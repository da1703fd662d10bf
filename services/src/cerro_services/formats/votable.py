"""The frame of a VOTable: everything but its rows (VOTable 1.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from cerro_services.formats.fields import Field

MIME = "application/x-votable+xml"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTES = ("arraysize", "unit", "ucd", "utype", "xtype")


def start(info: Sequence[tuple[str, str]] = ()) -> str:
    """Write the beginning of a VOTable with results, up to its TABLE.

    Parameters
    ----------
    info
        Names and values of INFO elements.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        '<RESOURCE type="results">\n'
        '<INFO name="QUERY_STATUS" value="OK"/>\n'
        + "".join(f"<INFO name={quoteattr(n)} value={quoteattr(_clean(v))}/>\n" for n, v in info)
    )


def table(fields: Sequence[Field]) -> str:
    """Write the beginning of a TABLE with its FIELDs."""
    return "<TABLE>\n" + "".join(_field(field, i) for i, field in enumerate(fields))


def end(*, overflow: bool = False, error: str | None = None) -> str:
    """Write what follows the TABLE: whether rows are missing, and why.

    Parameters
    ----------
    overflow
        There are more rows than were asked for by MAXREC.
    error
        Why the rows ended too early.
    """
    status = ""
    if error is not None:
        status = f'<INFO name="QUERY_STATUS" value="ERROR">{escape(_clean(error))}</INFO>\n'
    elif overflow:
        status = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n'
    return f"</TABLE>\n{status}</RESOURCE>\n</VOTABLE>\n"


def failure(message: str) -> bytes:
    """Write the VOTable of an error (DALI §4.4).

    Parameters
    ----------
    message
        What went wrong, for the person who asked.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
        '<RESOURCE type="results">\n'
        f'<INFO name="QUERY_STATUS" value="ERROR">{escape(_clean(message))}</INFO>\n'
        "</RESOURCE>\n</VOTABLE>\n"
    ).encode()


@lru_cache(8192)
def _field(field: Field, number: int) -> str:
    column = field.column
    name = column.name or f"col{number + 1}"
    attributes = f"name={quoteattr(_clean(name))} datatype={quoteattr(column.datatype or 'char')}"
    for attribute in _ATTRIBUTES:
        value = getattr(column, attribute)
        if value:
            attributes += f" {attribute}={quoteattr(_clean(value))}"
    if column.description:
        text = escape(_clean(column.description))
        return f"<FIELD {attributes}><DESCRIPTION>{text}</DESCRIPTION></FIELD>\n"
    return f"<FIELD {attributes}/>\n"


def _clean(text: str) -> str:
    """Drop the characters that no XML document may hold (XML 1.0 §2.2)."""
    return _ILLEGAL.sub("", text)
