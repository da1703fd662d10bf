"""What there is to ask for: releases, their tables, and the columns of these."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, overload

from cerro.config import connection
from cerro.errors import NotFoundError
from cerro.session import get_json

if TYPE_CHECKING:
    from astropy.table import Table

RELEASES = "api/releases"


@dataclass(frozen=True)
class ReleaseTable:
    """A table of a release."""

    release: str
    """Name of the release, which is its schema in ADQL."""

    name: str
    description: str
    nrows: int

    @property
    def full_name(self) -> str:
        """Name to write in a query, such as ``sim.Object``."""
        return f"{self.release}.{self.name}"

    @property
    def columns(self) -> Table:
        """The columns with type, unit, UCD and description, as an astropy table."""
        from cerro.catalogue import query

        return query(
            "SELECT column_name, datatype, arraysize, unit, ucd, description "  # noqa: S608
            f"FROM tap_schema.columns WHERE table_name = '{self.full_name}' "
            "ORDER BY column_index"
        )

    def __repr__(self) -> str:
        return f"<{self.full_name}: {self.nrows:,} rows. {self.description}>"


@dataclass(frozen=True)
class Release:
    """A data release that the caller may see."""

    name: str
    title: str
    description: str
    version: str
    published: str
    """Time of publishing, ISO 8601 in UTC."""

    doi: str | None
    credit: str | None
    licence: str | None
    public: bool
    """Whether it may be read without logging in."""

    tables: Mapping[str, ReleaseTable]

    def __repr__(self) -> str:
        rows = "\n".join(
            f"  {table.name:<24}{table.nrows:>14,} rows  {table.description}"
            for table in self.tables.values()
        )
        access = "public" if self.public else "restricted"
        return f"{self.name} (version {self.version}, {access}): {self.title}\n{rows}"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'><code>{escape(table.full_name)}</code></td>"
            f"<td style='text-align:right'>{table.nrows:,}</td>"
            f"<td style='text-align:left'>{escape(table.description)}</td></tr>"
            for table in self.tables.values()
        )
        access = "public" if self.public else "restricted"
        return (
            f"<h4>{escape(self.title)}</h4><p>{escape(self.description)}<br>"
            f"<code>{escape(self.name)}</code>, version {escape(self.version)}, {access}</p>"
            "<table><thead><tr><th style='text-align:left'>Table</th><th>Rows</th>"
            f"<th style='text-align:left'>Description</th></tr></thead><tbody>{rows}</tbody>"
            "</table>"
        )


class Releases(Sequence[Release]):
    """The releases that the caller may see, by place or by name.

    Parameters
    ----------
    items
        The releases.
    """

    def __init__(self, items: Sequence[Release]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, key: int | str) -> Release: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Release]: ...
    def __getitem__(self, key: int | str | slice) -> Release | Sequence[Release]:
        if isinstance(key, slice):
            return Releases(self._items[key])
        if isinstance(key, int):
            return self._items[key]
        for release in self._items:
            if release.name == key:
                return release
        raise NotFoundError(_unknown("release", key, [release.name for release in self._items]))

    def __iter__(self) -> Iterator[Release]:
        return iter(self._items)

    def _ipython_key_completions_(self) -> list[str]:
        return [release.name for release in self._items]

    def __repr__(self) -> str:
        if not self._items:
            return "No release is published yet, or none that you may see."
        return "\n\n".join(repr(release) for release in self._items)

    def _repr_html_(self) -> str:
        if not self._items:
            return f"<p>{escape(repr(self))}</p>"
        return "".join(release._repr_html_() for release in self._items)


def releases() -> Releases:
    """List the releases that you may see.

    Returns
    -------
    Releases
        A sequence that is also looked up by name: ``cerro.releases()["sim"]``.

    Raises
    ------
    cerro.errors.CerroError
        If the platform cannot be reached, or does not accept the token.
    """
    return Releases([_release(item) for item in get_json(connection(), RELEASES)])


def _release(item: Mapping[str, Any]) -> Release:
    name = str(item["name"])
    found = [
        ReleaseTable(name, table["name"], table.get("description") or "", int(table["nrows"]))
        for table in item.get("tables", ())
    ]
    return Release(
        name=name,
        title=item.get("title") or name,
        description=item.get("description") or "",
        version=str(item.get("version") or ""),
        published=str(item.get("published") or ""),
        doi=item.get("doi"),
        credit=item.get("credit"),
        licence=item.get("licence"),
        public=bool(item.get("public")),
        tables={table.name: table for table in found},
    )


class Tables(Mapping[str, ReleaseTable]):
    """All tables that you may query, by full name; asks the platform anew at each use."""

    def _all(self) -> dict[str, ReleaseTable]:
        return {
            table.full_name: table for release in releases() for table in release.tables.values()
        }

    def __getitem__(self, name: str) -> ReleaseTable:
        known = self._all()
        for full_name, table in known.items():
            if full_name.lower() == name.lower():
                return table
        raise NotFoundError(_unknown("table", name, list(known)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        known = self._all().values()
        return "\n".join(
            f"{table.full_name:<32}{table.nrows:>14,} rows  {table.description}" for table in known
        )


tables = Tables()


def _unknown(what: str, name: str, known: list[str]) -> str:
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    hint = ", ".join(folded[candidate] for candidate in near) or ", ".join(known[:8]) or "none"
    return (
        f"There is no {what} '{name}' that you may read. "
        f"{'Did you mean' if near else 'There are'}: {hint}{'?' if near else '.'}"
    )
