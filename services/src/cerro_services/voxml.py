"""XML documents of the Virtual Observatory, element by element.

vo-models has most of these documents as classes, but escapes descriptions twice, puts the xtype
where the schema of VODataService has no place for it, and knows no cone search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

MIME = "text/xml"
NAMESPACES = {
    "availability": "http://www.ivoa.net/xml/VOSIAvailability/v1.0",
    "capabilities": "http://www.ivoa.net/xml/VOSICapabilities/v1.0",
    "tables": "http://www.ivoa.net/xml/VOSITables/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    "cs": "http://www.ivoa.net/xml/ConeSearch/v1.0",
    "vg": "http://www.ivoa.net/xml/VORegistry/v1.0",
    "ri": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "oai": "http://www.openarchives.org/OAI/2.0/",
    "oai_dc": "http://www.openarchives.org/OAI/2.0/oai_dc/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "uws": "http://www.ivoa.net/xml/UWS/v1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "esatapplus": "http://esa.int/xml/EsaTapPlus",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def root(prefix: str, name: str, *also: str, kind: str | None = None) -> etree._Element:
    """Make the root of a document.

    Parameters
    ----------
    prefix
        Key of its namespace in `NAMESPACES`, and its prefix.
    name
        Name of the element.
    also
        Prefixes that the values of ``xsi:type`` below it use.
    kind
        Its ``xsi:type``.
    """
    declared = {p: NAMESPACES[p] for p in (prefix, *also, "xsi")}
    made = etree.Element(f"{{{NAMESPACES[prefix]}}}{name}", nsmap=declared)
    if kind is not None:
        made.set(f"{{{NAMESPACES['xsi']}}}type", kind)
    return made


def add(
    parent: etree._Element,
    name: str,
    text: object = None,
    attributes: Mapping[str, str | None] | None = None,
    *,
    kind: str | None = None,
    prefix: str | None = None,
) -> etree._Element:
    """Add an element without namespace, as nearly all VO schemas have them.

    Parameters
    ----------
    parent
        Where to add it.
    name
        Its name.
    text
        Its text; characters that no XML may hold (XML 1.0 §2.2) are dropped.
    attributes
        Its attributes; those that are None are left out.
    kind
        Its ``xsi:type``.
    prefix
        Key of its namespace in `NAMESPACES`, if it has one.
    """
    tag = name if prefix is None else f"{{{NAMESPACES[prefix]}}}{name}"
    made = etree.SubElement(parent, tag)
    if kind is not None:
        made.set(f"{{{NAMESPACES['xsi']}}}type", kind)
    for key, value in (attributes or {}).items():
        if value is not None:
            made.set(key, clean(value))
    if text is not None:
        made.text = clean(str(text))
    return made


def texts(parent: etree._Element, **values: str | None) -> None:
    """Add elements that hold text, in this order; those without text are left out."""
    for name, value in values.items():
        if value:
            add(parent, name, value)


def clean(text: str) -> str:
    """Drop the characters that no XML document may hold (XML 1.0 §2.2)."""
    return _ILLEGAL.sub("", text)


def document(element: etree._Element) -> bytes:
    """Write a document."""
    written: bytes = etree.tostring(element, encoding="UTF-8", xml_declaration=True)
    return written
