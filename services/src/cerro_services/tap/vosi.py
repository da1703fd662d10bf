"""What the TAP service says of itself: capabilities and availability (VOSI 1.1, TAPRegExt 1.0)."""

from __future__ import annotations

from datetime import datetime

from pydantic import AnyUrl
from vo_models.tapregext import (
    DataLimit,
    DataLimits,
    Language,
    LanguageFeature,
    LanguageFeatureList,
    OutputFormat,
    TableAccess,
    TimeLimits,
    Version,
)
from vo_models.vodataservice import ParamHTTP
from vo_models.voresource import AccessURL, Capability
from vo_models.vosi.availability import Availability
from vo_models.vosi.capabilities import VOSICapabilities

from cerro_services.adql.functions import USER_DEFINED
from cerro_services.config import Settings
from cerro_services.formats import FORMATS

_FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"
_GEOMETRY = (
    "POINT", "CIRCLE", "BOX", "POLYGON", "CONTAINS", "INTERSECTS", "DISTANCE", "COORD1", "COORD2",
    "COORDSYS", "CENTROID", "AREA",
)  # fmt: skip
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
features-adql-conditional for an error."""


def capabilities(url: str, settings: Settings) -> bytes:
    """Write what the service can do.

    Parameters
    ----------
    url
        Address of the service.
    settings
        For its limits.
    """
    features = [
        LanguageFeatureList(
            type=f"{_FEATURES}adqlgeo", feature=[LanguageFeature(form=name) for name in _GEOMETRY]
        ),
        LanguageFeatureList(
            type=f"{_FEATURES}udf",
            feature=[LanguageFeature(form=form, description=text) for form, text in USER_DEFINED],
        ),
        *(
            LanguageFeatureList(
                type=f"{_FEATURES}{kind}",
                feature=[LanguageFeature(form=name) for name in names],
            )
            for kind, names in _OPTIONAL.items()
        ),
    ]
    adql = Language(
        name="ADQL",
        version=[
            Version(value="2.0", ivo_id="ivo://ivoa.net/std/ADQL#v2.0"),
            Version(value="2.1", ivo_id="ivo://ivoa.net/std/ADQL#v2.1"),
        ],
        description="ADQL 2.1",
        language_features=features,
    )
    service = TableAccess(
        interface=[
            ParamHTTP(
                role="std", version="1.1", access_url=[AccessURL(use="base", value=AnyUrl(url))]
            )
        ],
        language=[adql],
        output_format=[
            OutputFormat(mime=form.mime, alias=[form.name], ivo_id=form.ivo_id) for form in FORMATS
        ],
        execution_duration=TimeLimits(
            default=int(settings.sync_seconds), hard=int(settings.sync_seconds)
        ),
        output_limit=DataLimits(
            default=DataLimit(value=settings.maxrec_default, unit="row"),
            hard=DataLimit(value=settings.maxrec_hard, unit="row"),
        ),
    )
    others = [
        Capability(
            standard_id=AnyUrl(f"ivo://ivoa.net/std/VOSI#{standard}"),
            interface=[
                ParamHTTP(
                    version=version,
                    access_url=[AccessURL(use="full", value=AnyUrl(f"{url}/{path}"))],
                )
            ],
        )
        for standard, path, version in (
            ("capabilities", "capabilities", None),
            ("availability", "availability", None),
            ("tables-1.1", "tables", "1.1"),
        )
    ]
    return _xml(VOSICapabilities(capability=[service, *others]))


def availability(*, up: bool, since: datetime | None, note: str) -> bytes:
    """Write whether the service can answer.

    Parameters
    ----------
    up
        Whether it can.
    since
        Since when.
    note
        What works or fails.
    """
    return _xml(Availability(available=up, up_since=since, note=[note]))


def _xml(document: object) -> bytes:
    text = document.to_xml(skip_empty=True, encoding="UTF-8", xml_declaration=True)  # type: ignore[attr-defined]
    return text if isinstance(text, bytes) else text.encode()
