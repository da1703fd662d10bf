"""The pages of TAP: what is there, and examples as XHTML with RDFa (DALI 1.1 §2.4)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence

from lxml import etree

from cerro_services.release import Example
from cerro_services.voxml import clean

XHTML = "http://www.w3.org/1999/xhtml"
MIME = "application/xhtml+xml"
VOCABULARY = "http://www.ivoa.net/rdf/examples#"
_STYLE = """
:root { color-scheme: light dark; --fg: #1b2033; --muted: #5b6178; --bg: #fbfbfd; --line: #d9dce8; --link: #2f4fc4; }
@media (prefers-color-scheme: dark) {
  :root { --fg: #e8eaf4; --muted: #a3a9c2; --bg: #0e1326; --line: #2b3252; --link: #9db4ff; } }
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 54rem; color: var(--fg); background: var(--bg);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 0.3rem; }
p { margin: 0.3rem 0; color: var(--muted); } a { color: var(--link); }
pre { padding: 0.8rem 1rem; border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; font-size: 0.9rem; }
dt { font-weight: 600; margin-top: 0.9rem; } dd { margin: 0; color: var(--muted); }
"""  # noqa: E501
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
"""Content-Security-Policy of the pages: their own style and nothing else, no script, no form."""


def examples_page(url: str, examples: Sequence[Example]) -> bytes:
    """Write the examples.

    Parameters
    ----------
    url
        Address of the service.
    examples
        The examples.
    """
    page, body = _page("Queries to begin with")
    body.set("vocab", VOCABULARY)
    _add(body, "h1", "Queries to begin with")
    _add(body, "p", f"Each of these can be sent as it stands to {url}.")
    for number, example in enumerate(examples, 1):
        name = f"example-{number}"
        part = _add(body, "div", id=name, resource=f"#{name}", typeof="example")
        _add(part, "h2", example.name, property="name")
        if example.description:
            _add(part, "p", example.description)
        _add(part, "pre", example.query, property="query")
    return _written(page)


def front_page(url: str) -> bytes:
    """Write what is found where, for people who open the address of the service.

    Parameters
    ----------
    url
        Address of the service.
    """
    page, body = _page("TAP")
    _add(body, "h1", "Table Access Protocol")
    _add(body, "p", f"The address for TOPCAT, pyvo and others is {url}.")
    entries = _add(body, "dl")
    for path, text in (
        ("examples", "Queries to begin with"),
        ("tables", "All tables and columns, as XML (?detail=min without columns)"),
        ("capabilities", "What the service can do: languages, functions, formats, limits"),
        ("availability", "Whether it can answer now"),
        ("sync", "Answers a query at once (QUERY, LANG, RESPONSEFORMAT, MAXREC, UPLOAD)"),
        ("async", "Jobs, for queries that take long"),
    ):
        _add(_add(entries, "dt"), "a", path, href=f"{url}/{path}")
        _add(entries, "dd", text)
    return _written(page)


_SERVICES = {
    "tap": (("api/tap", "Catalogues, asked in ADQL: TAP, for TOPCAT, pyvo and others"),),
    "cone": (("api/cone", "Cone searches, one for each table with positions, in JSON"),),
    "registry": (("api/oai?verb=Identify", "Records for the registries of the VO (OAI-PMH)"),),
    "discovery": (
        ("api/releases", "Data releases and their tables, in JSON"),
        ("repertoire/discovery", "Services by data set, in JSON"),
    ),
}


def services_page(url: str, names: Collection[str]) -> bytes:
    """Write which services there are, for people who open the address above them.

    Parameters
    ----------
    url
        Address of the platform.
    names
        Services that are served.
    """
    page, body = _page("Services")
    _add(body, "h1", "Services")
    _add(body, "p", "What programs ask. People begin at ").append(_link("the home page", f"{url}/"))
    entries = _add(body, "dl")
    for name in names:
        for path, text in _SERVICES.get(name, ()):
            _add(entries, "dt").append(_link(path, f"{url}/{path}"))
            _add(entries, "dd", text)
    return _written(page)


def _link(text: str, address: str) -> etree._Element:
    made = etree.Element(f"{{{XHTML}}}a", href=address)
    made.text = text
    return made


def _page(title: str) -> tuple[etree._Element, etree._Element]:
    page = etree.fromstring(f'<html xmlns="{XHTML}" lang="en"/>')
    head = _add(page, "head")
    _add(head, "title", f"{title} · Cerro")
    view = _add(head, "meta", content="width=device-width, initial-scale=1")
    view.set("name", "viewport")
    _add(head, "style", _STYLE)
    return page, _add(page, "body")


def _add(
    parent: etree._Element, name: str, text: str | None = None, **attributes: str
) -> etree._Element:
    made = etree.SubElement(parent, f"{{{XHTML}}}{name}")
    for key, value in attributes.items():
        made.set(key, value)
    made.text = None if text is None else clean(text)
    return made


def _written(page: etree._Element) -> bytes:
    return bytes(
        etree.tostring(page, encoding="UTF-8", xml_declaration=True, doctype="<!DOCTYPE html>")
    )
