"""The frame of a VOTable: everything but its rows (VOTable 1.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from cerro_services.formats.fields import STRINGS, Field
from cerro_services.formats.frame import Input, Service

MIME = "application/x-votable+xml"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")
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


def table(fields: Sequence[Field], services: Sequence[Service] = ()) -> str:
    """Write the beginning of a TABLE with its FIELDs.

    Parameters
    ----------
    fields
        The columns.
    services
        What can be done with the rows: the columns that they need get an ID.
    """
    named = {put.column for service in services for put in service.inputs}
    return "<TABLE>\n" + "".join(
        _field(field, i, identifier(fields, i) if i in named else "")
        for i, field in enumerate(fields)
    )


def identifier(fields: Sequence[Field], number: int) -> str:
    """Give the ID of a column: its name if that is one, for some readers show it instead."""
    names = [field.column.name for field in fields]
    name = names[number]
    alone = names.count(name) == 1 and not name.startswith("col_")
    return name if alone and _NAME.fullmatch(name) else f"col_{number + 1}"


def end(
    fields: Sequence[Field] = (),
    services: Sequence[Service] = (),
    *,
    overflow: bool = False,
    error: str | None = None,
) -> str:
    """Write what follows the TABLE: whether rows are missing, and what can be done with them.

    Parameters
    ----------
    fields
        The columns.
    services
        What can be done with the rows.
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
    taken = {field.column.name for field in fields}
    blocks = "".join(
        _service(service, _service_id(service, i, taken), fields)
        for i, service in enumerate(services, 1)
    )
    return f"</TABLE>\n{status}</RESOURCE>\n{blocks}</VOTABLE>\n"


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
def _field(field: Field, number: int, ident: str) -> str:
    column = field.column
    name = column.name or f"col{number + 1}"
    attributes = f'ID="{ident}" ' if ident else ""
    attributes += f"name={quoteattr(_clean(name))} datatype={quoteattr(column.datatype or 'char')}"
    for attribute in _ATTRIBUTES:
        value = getattr(column, attribute)
        if value:
            attributes += f" {attribute}={quoteattr(_clean(value))}"
    content = ""
    if column.description:
        content += f"<DESCRIPTION>{escape(_clean(column.description))}</DESCRIPTION>"
    if field.null is not None:
        content += f'<VALUES null="{field.null}"/>'
    return f"<FIELD {attributes}>{content}</FIELD>\n" if content else f"<FIELD {attributes}/>\n"


def _service_id(service: Service, number: int, taken: set[str]) -> str:
    """Give the ID of a service: its name as far as it can be one, and no other element's."""
    name = _NO_NAME.sub("_", service.name)
    if not _NAME.fullmatch(name) or name in taken or name.startswith("col_"):
        name = f"service_{number}_{name}"
    taken.add(name)
    return name


def _service(service: Service, ident: str, fields: Sequence[Field]) -> str:
    about = "".join(
        f'<PARAM name={quoteattr(_clean(n))} datatype="char" arraysize="*" '
        f"value={quoteattr(_clean(v))}/>\n"
        for n, v in service.params
    )
    description = ""
    if service.description:
        description = f"<DESCRIPTION>{escape(_clean(service.description))}</DESCRIPTION>\n"
    inputs = "".join(_input(put, fields) for put in service.inputs)
    return (
        f'<RESOURCE ID="{ident}" type="meta" utype="adhoc:service" '
        f"name={quoteattr(_clean(service.name))}>\n"
        f'{description}{about}<GROUP name="inputParams">\n{inputs}</GROUP>\n</RESOURCE>\n'
    )


def _input(put: Input, fields: Sequence[Field]) -> str:
    text = f"<PARAM name={quoteattr(_clean(put.name))} datatype={quoteattr(put.datatype)}"
    for attribute in _ATTRIBUTES:
        value = getattr(put, attribute)
        if value:
            text += f" {attribute}={quoteattr(_clean(value))}"
    if put.column is not None:
        text += f' ref="{identifier(fields, put.column)}"'
    # A value of no sign is a text; of a number it is not.
    blank = "" if put.datatype in STRINGS else "0"
    text += f" value={quoteattr(_clean(put.value or blank))}"
    if put.description:
        return f"{text}><DESCRIPTION>{escape(_clean(put.description))}</DESCRIPTION></PARAM>\n"
    return f"{text}/>\n"


def _clean(text: str) -> str:
    """Drop the characters that no XML document may hold (XML 1.0 §2.2)."""
    return _ILLEGAL.sub("", text)
