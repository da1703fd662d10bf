"""Service discovery at /repertoire/discovery and the list of releases at /api/releases."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from cerro_services import butler
from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.images import table_of
from cerro_services.release import Release


class Service(BaseModel):
    """One service of a data set."""

    url: str = Field(description="Base address.")
    versions: dict[str, dict[str, str]] = Field(default_factory=dict)


class Dataset(BaseModel):
    """One release, as Repertoire calls it."""

    description: str
    docs_url: str | None = None
    butler_config: str | None = None
    services: dict[str, Service]


class Services(BaseModel):
    """Services that belong to no data set."""

    internal: dict[str, Service] = Field(default_factory=dict)
    ui: dict[str, Service] = Field(default_factory=dict)


class Discovery(BaseModel):
    """What Repertoire's clients read (lsst-rsp, rubin-repertoire)."""

    applications: list[str] = Field(default_factory=list)
    datasets: dict[str, Dataset]
    influxdb_databases: dict[str, Any] = Field(default_factory=dict)
    services: Services


class TableSummary(BaseModel):
    """One table of a release."""

    name: str
    description: str | None
    nrows: int


class ReleaseSummary(BaseModel):
    """One release."""

    name: str
    title: str
    description: str | None
    version: str
    published: str
    doi: str | None
    credit: str | None
    licence: str | None
    public: bool = Field(description="Whether everyone may read it.")
    tables: list[TableSummary]


def router(context: Context) -> APIRouter:
    """Make the routes of discovery.

    Parameters
    ----------
    context
        What the services share.
    """
    routes = APIRouter(tags=["discovery"])
    base = context.settings.base_url

    async def readable(request: Request) -> list[tuple[Release, list[TableSummary]]]:
        caller = await context.callers.identify(request.headers.get("authorization"))
        found = [(r, _tables(r, caller)) for r in context.store.published()]
        return [(release, tables) for release, tables in found if tables]

    @routes.get("/repertoire/discovery", summary="Where the services are")
    async def discovery(request: Request) -> Discovery:
        caller = await context.callers.identify(request.headers.get("authorization"))
        tap = Service(
            url=f"{base}/api/tap",
            versions={
                "tap-1.1": {
                    "url": f"{base}/api/tap",
                    "ivoa_standard_id": "ivo://ivoa.net/std/TAP#aux",
                }
            },
        )
        datasets = {
            release.name: Dataset(
                description=release.title,
                docs_url=f"{base}/docs/",
                butler_config=butler.config_url(base, release)
                if butler.offers(release, caller)
                else None,
                services={"tap": tap, **_images(base, release, caller)},
            )
            for release, _ in await readable(request)
        }
        ui = {"portal": Service(url=f"{base}/"), "hub": Service(url=f"{base}/hub/")}
        return Discovery(
            applications=["hub", "portal", "tap"], datasets=datasets, services=Services(ui=ui)
        )

    @routes.get("/api/releases", summary="The releases")
    async def releases(request: Request) -> list[ReleaseSummary]:
        return [
            ReleaseSummary(
                name=release.name,
                title=release.title,
                description=release.description,
                version=release.version,
                published=release.published.isoformat(),
                doi=release.doi,
                credit=release.credit,
                licence=release.licence,
                public=release.access.allows(()),
                tables=tables,
            )
            for release, tables in await readable(request)
        ]

    return routes


def _images(base: str, release: Release, caller: Caller) -> dict[str, Service]:
    """Give the services of a release's images, where there are any for the caller."""
    if not table_of(release, caller.groups).num_rows:
        return {}
    sia, links, cutout = (
        f"{base}/api/sia/{release.name}",
        f"{base}/api/datalink",
        f"{base}/api/cutout",
    )
    return {
        "sia": Service(
            url=sia,
            versions={
                "sia-2.0": {
                    "url": f"{sia}/query",
                    "ivoa_standard_id": "ivo://ivoa.net/std/SIA#query-2.0",
                }
            },
        ),
        "datalink": Service(
            url=links,
            versions={
                "datalink-links-1.1": {
                    "url": f"{links}/links",
                    "ivoa_standard_id": "ivo://ivoa.net/std/DataLink#links-1.1",
                }
            },
        ),
        "cutout": Service(
            url=cutout,
            versions={
                "soda-sync-1.0": {
                    "url": f"{cutout}/sync",
                    "ivoa_standard_id": "ivo://ivoa.net/std/SODA#sync-1.0",
                }
            },
        ),
    }


def _tables(release: Release, caller: Caller) -> list[TableSummary]:
    return [
        TableSummary(name=table.name, description=table.description, nrows=table.nrows)
        for table in release.tables.values()
        if release.access.allows(caller.groups, table=table.name)
    ]
