"""What the TAP service says that it can do: capabilities (VOSI 1.1 §2.1, TAPRegExt 1.0)."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from cerro_services.adql.functions import GEOMETRY, RESOLVED, USER_DEFINED
from cerro_services.formats import FORMATS
from cerro_services.voxml import add, document, root

STANDARD = "ivo://ivoa.net/std/TAP"
BASIC = "ivo://ivoa.net/sso#BasicAA"
UPLOADS = ("inline", "http", "https")
"""Ways of an upload (TAPRegExt 1.0 §2.4)."""
_KEY = "ivo://ivoa.net/std/TAPRegExt#"
_OPTIONAL = {
    "adql-string": ("LOWER", "UPPER", "ILIKE"),
    "adql-common-table": ("WITH",),
    "adql-sets": ("UNION", "EXCEPT", "INTERSECT"),
    "adql-type": ("CAST",),
    "adql-unit": ("IN_UNIT",),
    "adql-offset": ("OFFSET",),
    "adql-bitwise": ("BIT_AND", "BIT_OR", "BIT_XOR", "BIT_NOT"),
}
"""Optional features of ADQL 2.1 (§3.1). COALESCE is offered too, but taplint takes its key
features-adql-conditional for an error; the language's description names it."""


@dataclass(frozen=True)
class TapLimits:
    """What a caller may use of TAP.

    Parameters
    ----------
    sync_seconds, job_seconds
        Time of a query, and of a job at most.
    keep_seconds
        Time until a job is deleted.
    rows, most_rows
        Rows of a result by default and at most.
    upload_bytes
        Bytes of an upload at most.
    resolves
        Whether a resolver of names is configured.
    images
        Whether there is a table ``ivoa.ObsCore``.
    """

    sync_seconds: int
    job_seconds: int
    keep_seconds: int
    rows: int
    most_rows: int
    upload_bytes: int
    resolves: bool = False
    images: bool = False


def capabilities(url: str, limits: TapLimits) -> bytes:
    """Write what the service can do.

    Parameters
    ----------
    url
        Address of the service.
    limits
        What the caller may use.
    """
    made = root("capabilities", "capabilities", "vr", "vs", "tr")
    add_tap(made, url, limits)
    add_vosi(made, url, tables=True)
    examples = add(made, "capability", None, {"standardID": "ivo://ivoa.net/std/DALI#examples"})
    add_interface(examples, f"{url}/examples", kind="vr:WebBrowser")
    return document(made)


def add_tap(parent: etree._Element, url: str, limits: TapLimits) -> etree._Element:
    """Add the capability of TAP (TAPRegExt 1.0 §2).

    Parameters
    ----------
    parent
        Where to add it.
    url
        Address of the service.
    limits
        What the caller may use.
    """
    made = add(parent, "capability", None, {"standardID": STANDARD}, kind="tr:TableAccess")
    add_interface(made, url, use="base", standard="1.1")
    # An interface has one method at most (VOResource 1.1 §2.2.2), and TAP one standard interface.
    add_interface(made, url, use="base", version="1.1", security=BASIC)
    if limits.images:
        add(made, "dataModel", "ObsCore-1.1", {"ivo-id": "ivo://ivoa.net/std/ObsCore#core-1.1"})
    _language(made, resolves=limits.resolves)
    for form in FORMATS:
        output = add(made, "outputFormat", None, {"ivo-id": form.ivo_id})
        add(output, "mime", form.mime)
        for alias in dict.fromkeys((form.name, *form.aliases)):
            add(output, "alias", alias)
    for method in UPLOADS:
        add(made, "uploadMethod", None, {"ivo-id": f"{_KEY}upload-{method}"})
    _limit(made, "retentionPeriod", limits.keep_seconds, limits.keep_seconds)
    _limit(
        made, "executionDuration", min(limits.sync_seconds, limits.job_seconds), limits.job_seconds
    )
    _limit(made, "outputLimit", min(limits.rows, limits.most_rows), limits.most_rows, "row")
    _limit(made, "uploadLimit", limits.upload_bytes, limits.upload_bytes, "byte")
    return made


def add_vosi(parent: etree._Element, url: str, *, tables: bool) -> None:
    """Add the capabilities of VOSI itself.

    Parameters
    ----------
    parent
        Where to add them.
    url
        Address of the service, below which they lie.
    tables
        Whether the service lists tables.
    """
    paths = ["capabilities", "availability", *(["tables"] if tables else [])]
    for path in paths:
        version = "1.1" if path == "tables" else None
        standard = f"ivo://ivoa.net/std/VOSI#{path}" + (f"-{version}" if version else "")
        made = add(parent, "capability", None, {"standardID": standard})
        add_interface(made, f"{url}/{path}", version=version)


def add_interface(
    parent: etree._Element,
    url: str,
    *,
    kind: str = "vs:ParamHTTP",
    use: str = "full",
    standard: str | None = None,
    version: str | None = None,
    result: str | None = None,
    security: str | None = None,
) -> etree._Element:
    """Add an interface.

    Parameters
    ----------
    parent
        The capability.
    url
        Address.
    kind
        Its ``xsi:type``.
    use
        How the address is used: "full", or "base" to be completed.
    standard
        Version of the standard whose interface it is.
    version
        Version of an interface that is not the standard's own.
    result
        Content-Type of what comes.
    security
        How one says who one is; by default nobody needs to. That Bearer is taken too has no name
        in SSO 2.0: the challenges say it.
    """
    attributes = {"role": "std" if standard else None, "version": standard or version}
    made = add(parent, "interface", None, attributes, kind=kind)
    add(made, "accessURL", url, {"use": use})
    if security is not None:
        add(made, "securityMethod", None, {"standardID": security})
    if kind == "vs:ParamHTTP" and result:
        add(made, "resultType", result)
    return made


def _language(parent: etree._Element, *, resolves: bool) -> None:
    made = add(parent, "language")
    add(made, "name", "ADQL")
    for version in ("2.0", "2.1"):
        add(made, "version", version, {"ivo-id": f"ivo://ivoa.net/std/ADQL#v{version}"})
    add(made, "description", "ADQL 2.1 with every optional feature, COALESCE among them")
    features = {"adqlgeo": tuple(GEOMETRY), **_OPTIONAL}
    for kind, names in features.items():
        group = add(made, "languageFeatures", None, {"type": f"{_KEY}features-{kind}"})
        for name in names:
            add(add(group, "feature"), "form", name)
    group = add(made, "languageFeatures", None, {"type": f"{_KEY}features-udf"})
    for form, description in (*USER_DEFINED, *((RESOLVED,) if resolves else ())):
        feature = add(group, "feature")
        add(feature, "form", form)
        add(feature, "description", description)


def _limit(
    parent: etree._Element, name: str, default: int, hard: int, unit: str | None = None
) -> None:
    made = add(parent, name)
    add(made, "default", default, {"unit": unit})
    add(made, "hard", hard, {"unit": unit})
