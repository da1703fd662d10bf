"""The releases that everybody may see, fetched from the data services as any outsider does."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections import defaultdict
from datetime import datetime

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

FRESH_SECONDS = 10.0
"""How long an answer of the services is used again."""

RETRY_SECONDS = 2.0
"""How long a failure is believed before the services are asked again."""

_COLUMNS_SECONDS = 1.5
_QUERY_COLUMNS = 4
_MAIN_TABLE = "Object"


class TableCard(BaseModel):
    """A table as the home page shows it."""

    name: str
    description: str | None = None
    nrows: int = 0


class ReleaseCard(BaseModel):
    """A release as the home page shows it."""

    name: str
    title: str
    description: str | None = None
    version: str | int | None = None
    published: datetime | None = None
    doi: str | None = None
    credit: str | None = None
    licence: str | None = None
    public: bool = True
    tables: list[TableCard] = []
    example: str = ""
    """A query to start from, in ADQL."""


class Listing(BaseModel):
    """What the services said last."""

    available: bool
    """Whether the services answer; without, ``releases`` says nothing."""

    releases: list[ReleaseCard] = []

    complete: bool = False
    """Whether the example queries name columns; the services' first query can take long."""


_CARDS = TypeAdapter(list[ReleaseCard])


class ReleaseSource:
    """Asks the services for the releases, not more often than needed.

    Parameters
    ----------
    client
        HTTP client whose base address is that of the services.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._known = Listing(available=False)
        self._until = 0.0

    async def get(self) -> Listing:
        """Give the releases; many visitors at once cause one question to the services."""
        if time.monotonic() < self._until:
            return self._known
        async with self._lock:
            if time.monotonic() >= self._until:
                self._known = await self._ask()
                lasts = FRESH_SECONDS if self._known.complete else RETRY_SECONDS
                self._until = time.monotonic() + lasts
        return self._known

    async def _ask(self) -> Listing:
        try:
            answer = await self._client.get("api/releases")
            answer.raise_for_status()
            cards = _CARDS.validate_json(answer.content)
        except (httpx.HTTPError, ValidationError):
            return Listing(available=False)
        columns = await self._principal_columns() if cards else {}
        for card in cards:
            card.example = example_query(card, columns or {})
        return Listing(available=True, releases=cards, complete=columns is not None)

    async def _principal_columns(self) -> dict[str, list[str]] | None:
        """Give the principal columns by full table name, the most telling first, or None."""
        adql = (
            "SELECT table_name, column_name, ucd FROM tap_schema.columns WHERE principal = 1 "
            "ORDER BY table_name, column_index"
        )
        form = {"LANG": "ADQL", "QUERY": adql, "RESPONSEFORMAT": "csv"}
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        try:
            answer = await self._client.post("api/tap/sync", data=form, timeout=_COLUMNS_SECONDS)
            answer.raise_for_status()
        except httpx.HTTPError:
            return None
        for row in csv.DictReader(io.StringIO(answer.text)):
            if row.get("table_name") and row.get("column_name"):
                rank = _interest(row.get("ucd") or "")
                found[row["table_name"]].append((rank, row["column_name"]))
        return {
            table: [name for _, name in sorted(columns, key=lambda column: column[0])]
            for table, columns in found.items()
        }


def _interest(ucd: str) -> int:
    """Rank a column for a first look at a table: identifier, position, brightness, the rest."""
    wanted = ("meta.id", "pos.eq.ra", "pos.eq.dec", "phot.mag", "phot.flux")
    for rank, word in enumerate(wanted):
        if ucd.startswith(word) and (rank > 2 or ucd.endswith("meta.main")):
            return rank
    return len(wanted)


def example_query(release: ReleaseCard, columns: dict[str, list[str]]) -> str:
    """Write a first query for a release.

    Parameters
    ----------
    release
        The release.
    columns
        Principal columns by full table name.

    Returns
    -------
    str
        ADQL for the table of objects, or the largest table; empty if there is no table.
    """
    if not release.tables:
        return ""
    tables = {table.name: table for table in release.tables}
    main = tables.get(_MAIN_TABLE) or max(release.tables, key=lambda table: table.nrows)
    full_name = f"{release.name}.{main.name}"
    chosen = ", ".join(columns.get(full_name, [])[:_QUERY_COLUMNS])
    what = f"\n  {chosen}" if chosen else " *"
    return f"SELECT TOP 10{what}\nFROM {full_name}"
