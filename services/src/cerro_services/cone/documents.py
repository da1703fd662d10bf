"""Documents of cone search: what a search can do, and what went wrong with one."""

from __future__ import annotations

from lxml import etree
from starlette.responses import Response

from cerro_services.formats import votable
from cerro_services.tap.vosi import add_interface, add_vosi
from cerro_services.voxml import add, clean, document, root

STANDARD = "ivo://ivoa.net/std/ConeSearch"


def capabilities(url: str, place: tuple[float, float], maxrec: int) -> bytes:
    """Write what a cone search can do.

    Parameters
    ----------
    url
        Its address.
    place
        Where it finds something, in degrees.
    maxrec
        Rows of an answer at most.
    """
    made = root("capabilities", "capabilities", "vr", "vs", "cs")
    add_capability(made, url, place, maxrec)
    add_vosi(made, url, tables=True)
    return document(made)


def add_capability(
    parent: etree._Element, url: str, place: tuple[float, float], maxrec: int
) -> None:
    """Add the capability of a cone search (``cs:ConeSearch``).

    Parameters
    ----------
    parent
        Where to add it.
    url
        Address of the search.
    place
        Where it finds something, in degrees.
    maxrec
        Rows of an answer at most.
    """
    made = add(parent, "capability", None, {"standardID": STANDARD}, kind="cs:ConeSearch")
    interface = add_interface(
        made, f"{url}?", use="base", standard="1.03", result="application/x-votable+xml"
    )
    for name, unit, ucd, text in (
        ("RA", "deg", "pos.eq.ra", "Right ascension of the centre (ICRS)"),
        ("DEC", "deg", "pos.eq.dec", "Declination of the centre (ICRS)"),
        ("SR", "deg", "pos.angDistance", "Radius"),
        ("VERB", None, None, "Columns: 1 fewest, 2 usual, 3 all"),
        ("MAXREC", None, None, "Rows at most"),
        ("RESPONSEFORMAT", None, "meta.code.mime", "Format: a MIME type or a short name"),
    ):
        use = "required" if unit else "optional"
        parameter = add(
            interface, "param", None, {"std": str(unit is not None).lower(), "use": use}
        )
        add(parameter, "name", name)
        add(parameter, "description", text)
        for tag, value in (("unit", unit), ("ucd", ucd)):
            if value:
                add(parameter, tag, value)
        kind = "real" if unit else "string" if ucd else "integer"
        add(parameter, "dataType", kind)
    add(made, "maxRecords", maxrec)
    add(made, "verbosity", "true")
    test = add(made, "testQuery")
    for name, number in zip(("ra", "dec", "sr"), (*place, 0.1), strict=True):
        add(test, name, repr(float(number)))


def failure(message: str, status: int) -> Response:
    """Give the answer to a search that failed (SCS 1.03 §2.3, DALI 1.1 §4.4).

    Parameters
    ----------
    message
        What went wrong, for the person who asked.
    status
        HTTP status.
    """
    space = "http://www.ivoa.net/xml/VOTable/v1.3"
    made = etree.fromstring(f'<VOTABLE xmlns="{space}" version="1.4"/>')
    resource = etree.SubElement(made, f"{{{space}}}RESOURCE", {"type": "results"})
    info = etree.SubElement(
        resource, f"{{{space}}}INFO", {"name": "QUERY_STATUS", "value": "ERROR"}
    )
    info.text = clean(message)
    etree.SubElement(
        resource, f"{{{space}}}INFO", {"ID": "Error", "name": "Error", "value": clean(message)}
    )
    return Response(document(made), status, media_type=votable.MIME)
