"""The little of VOTable that the client reads by itself, without astropy's slower parser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

__all__ = ["FieldInfo", "Header", "error_text", "looks_like_votable", "parse", "read_header"]


@dataclass(frozen=True)
class FieldInfo:
    """What a VOTable says of one column."""

    name: str
    unit: str | None
    ucd: str | None
    utype: str | None
    xtype: str | None
    description: str | None


@dataclass(frozen=True)
class Header:
    """What a VOTable says of its table."""

    fields: tuple[FieldInfo, ...]
    overflow: bool
    """Whether the server cut rows off."""


def parse(content: bytes) -> ET.Element:
    """Parse an XML document.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If it is no well-formed XML.
    """
    return ET.fromstring(content)  # noqa: S314 (today's expat refuses entity bombs)


def elements(root: ET.Element, name: str) -> Iterator[ET.Element]:
    """Walk over the elements of one name, whatever their namespace."""
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == name)


def looks_like_votable(content: bytes) -> bool:
    """Tell whether a document starts as a VOTable does."""
    return b"<VOTABLE" in content[:1000]


def error_text(content: bytes) -> str | None:
    """Read ``QUERY_STATUS=ERROR`` of a VOTable (DALI 1.1, section 4.4).

    Parameters
    ----------
    content
        The document.

    Returns
    -------
    str or None
        The server's text; None if the document tells of no error.
    """
    try:
        root = parse(content)
    except ET.ParseError:
        return None
    for info in elements(root, "INFO"):
        if (info.get("name"), info.get("value")) == ("QUERY_STATUS", "ERROR"):
            return "".join(info.itertext()).strip("\n") or "The server gave no reason."
    return None


def read_header(content: bytes) -> Header:
    """Read the columns and the overflow mark (DALI 1.1, section 4.4.1) of a VOTable.

    Parameters
    ----------
    content
        The document.
    """
    root = parse(content)
    overflow = any(
        (info.get("name"), info.get("value")) == ("QUERY_STATUS", "OVERFLOW")
        for info in elements(root, "INFO")
    )
    return Header(tuple(_field(element) for element in elements(root, "FIELD")), overflow)


def _field(element: ET.Element) -> FieldInfo:
    words = next((child.text or "" for child in elements(element, "DESCRIPTION")), "").split()
    return FieldInfo(
        name=element.get("name") or "",
        unit=element.get("unit") or None,
        ucd=element.get("ucd") or None,
        utype=element.get("utype") or None,
        xtype=element.get("xtype") or None,
        description=" ".join(words) or None,
    )
