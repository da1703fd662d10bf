"""The VOTable of links, with descriptors of the services that rows name (DataLink 1.1 §3, §4)."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from cerro_services.datalink.links import SERVICES, Link

MIME = "application/x-votable+xml;content=datalink"
_VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"
_FIELDS = (
    ("ID", "char", "*", "meta.id;meta.main", None, "id"),
    ("access_url", "char", "*", "meta.ref.url", None, "access_url"),
    ("service_def", "char", "*", "meta.ref", None, "service_def"),
    ("error_message", "char", "*", "meta.code.error", None, "error_message"),
    ("description", "char", "*", "meta.note", None, "description"),
    ("semantics", "char", "*", "meta.code", None, "semantics"),
    ("content_type", "char", "*", "meta.code.mime", None, "content_type"),
    ("content_length", "long", None, "phys.size;meta.file", "byte", "content_length"),
    ("content_qualifier", "char", "*", "meta.code", None, "content_qualifier"),
    ("link_auth", "char", "*", "meta.code", None, "link_auth"),
    ("link_authorized", "boolean", None, "meta.code", None, "link_authorized"),
)
_INPUTS = (
    ("CIRCLE", "double", "3", "circle", "phys.angArea;obs", "deg", "Circle: ra, dec, radius"),
    ("POLYGON", "double", "*", "polygon", "phys.angArea;obs", "deg", "Polygon: ra, dec of corners"),
    ("POS", "char", "*", None, "phys.angArea;obs", None, "CIRCLE, RANGE or POLYGON and numbers"),
    ("BAND", "double", "2", "interval", "em.wl;stat.interval", "m", "Wavelengths"),
)
_SODA = "ivo://ivoa.net/std/SODA#sync-1.0"


def document(rows: Sequence[Link], base: str) -> bytes:
    """Write links.

    Parameters
    ----------
    rows
        The links.
    base
        The platform's address.
    """
    made = etree.fromstring(f'<VOTABLE version="1.4" xmlns="{_VOTABLE}"/>')
    results = _add(made, "RESOURCE", type="results")
    _add(results, "INFO", name="standardID", value="ivo://ivoa.net/std/DataLink#links-1.1")
    _add(results, "INFO", name="QUERY_STATUS", value="OK")
    table = _add(results, "TABLE")
    for name, datatype, arraysize, ucd, unit, _ in _FIELDS:
        field = {"name": name, "ID": f"link_{name}", "datatype": datatype, "ucd": ucd}
        field |= {k: v for k, v in (("arraysize", arraysize), ("unit", unit)) if v is not None}
        _add(table, "FIELD", **field)
    data = _add(_add(table, "DATA"), "TABLEDATA")
    for row in rows:
        line = _add(data, "TR")
        for *_, attribute in _FIELDS:
            _add(line, "TD").text = _text(getattr(row, attribute))
    used = {row.service_def for row in rows}
    for name, (detail, description) in SERVICES.items():
        if name in used:
            _descriptor(made, name, detail, description, base)
    return etree.tostring(made, xml_declaration=True, encoding="UTF-8")


def _descriptor(
    parent: etree._Element, name: str, detail: str, description: str, base: str
) -> None:
    made = _add(parent, "RESOURCE", type="meta", utype="adhoc:service", ID=name, name=name)
    _add(made, "DESCRIPTION").text = description
    for param, value in (
        ("standardID", _SODA),
        ("accessURL", f"{base}/api/cutout/sync"),
        ("contentType", "application/fits"),
    ):
        _add(made, "PARAM", name=param, datatype="char", arraysize="*", value=value)
    group = _add(made, "GROUP", name="inputParams")
    _add(
        group,
        "PARAM",
        name="ID",
        datatype="char",
        arraysize="*",
        ucd="meta.id;meta.dataset",
        ref="link_ID",
        value="",
    )
    for param, datatype, arraysize, xtype, ucd, unit, said in _INPUTS:
        given = {"name": param, "datatype": datatype, "arraysize": arraysize, "ucd": ucd}
        given |= {k: v for k, v in (("xtype", xtype), ("unit", unit)) if v is not None}
        _add(_add(group, "PARAM", value="", **given), "DESCRIPTION").text = said
    detailed = _add(
        group, "PARAM", name="CUTOUTDETAIL", datatype="char", arraysize="*", value=detail
    )
    values = _add(detailed, "VALUES")
    for option in dict.fromkeys((detail, *(d for d, _ in SERVICES.values()))):
        _add(values, "OPTION", value=option)


def _add(parent: etree._Element, element: str, /, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{_VOTABLE}}}{element}", attributes)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
