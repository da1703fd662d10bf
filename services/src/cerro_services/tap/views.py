"""What callers see and what they asked before, kept while the releases stay the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from threading import Lock

from cerro_services import usertables
from cerro_services.access import Caller
from cerro_services.adql import Catalogue, Query, compile_query
from cerro_services.adql.resolver import Resolve
from cerro_services.context import Context
from cerro_services.release import Release
from cerro_services.tap.tapschema import View, view

_VIEWS, _QUERIES = 64, 512
_SHORT = 10_000
"""Characters of a query that is kept: long ones would fill the memory, and seldom come again."""


class Views:
    """What callers see and what they asked before, kept while the releases stay the same.

    Parameters
    ----------
    resolve
        Finds positions by names; None if nothing does.
    base
        The platform's address, for the links of images; without it there is no ``ivoa.ObsCore``.
    """

    def __init__(self, resolve: Resolve | None = None, base: str | None = None) -> None:
        self._resolve = resolve
        self._base = base
        self._lock, self._long = Lock(), Lock()
        self._views: dict[tuple[object, ...], View] = {}
        self._queries: dict[tuple[int, str], tuple[View, Query]] = {}

    def view(self, releases: Sequence[Release], groups: frozenset[str]) -> View:
        """Give what members of some groups may read."""
        key = (groups, *_names(releases))
        found = self._views.get(key)
        if found is None:
            found = view(releases, groups, base=self._base)
            with self._lock:
                _make_room(self._views, _VIEWS)
                self._views[key] = found
        return found

    def of(self, context: Context, caller: Caller) -> View:
        """Give what a caller may read: of the releases, their own, and what is shared with them."""
        tables = usertables.of(context)
        own = tables.visible(caller)
        releases = context.store.published()
        if not own:
            return self.view(releases, caller.groups)
        versions = [(table.id, table.version, table.changed) for table in own]
        key = (caller.name, caller.groups, *_names(releases), *versions)
        found = self._views.get(key)
        if found is None:
            stored = [usertables.query_table(tables, table, caller) for table in own]
            found = view(releases, caller.groups, stored, self._base)
            with self._lock:
                _make_room(self._views, _VIEWS)
                self._views[key] = found
        return found

    def query(self, seen: View, adql: str) -> Query:
        """Compile a query, or give it as it was compiled before."""
        key = (id(seen), adql)
        known = self._queries.get(key)
        # The view is kept beside its query, so its identity belongs to no other.
        if known is not None and known[0] is seen:
            return known[1]
        query = self.compiled(adql, seen.catalogue)
        if len(adql) > _SHORT:
            return query
        with self._lock:
            _make_room(self._queries, _QUERIES)
            self._queries[key] = (seen, query)
        return query

    def compiled(self, adql: str, catalogue: Catalogue) -> Query:
        """Compile a query; long ones one after the other.

        Each takes Python for seconds, which all other queries need for milliseconds.
        """
        with self._long if len(adql) > _SHORT else nullcontext():
            return compile_query(adql, catalogue, resolve=self._resolve)


def _names(releases: Sequence[Release]) -> Iterator[tuple[str, str]]:
    return ((release.name, release.version) for release in releases)


def _make_room[K, V](entries: dict[K, V], most: int) -> None:
    while len(entries) >= most:
        entries.pop(next(iter(entries)))
