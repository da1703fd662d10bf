"""What ``cerro release list`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cerro_services.release.errors import ReleaseError
from cerro_services.release.files import human_size
from cerro_services.release.store import DRAFT, ReleaseStore

_COLUMNS = ("name", "version", "state", "tables", "rows", "size", "access", "title")
_NUMBERS = frozenset({"tables", "rows", "size"})


def entries(store: ReleaseStore) -> list[dict[str, Any]]:
    """Describe every release's current version, older versions and draft.

    Parameters
    ----------
    store
        Where releases lie.

    Returns
    -------
    list of dict
        One for each version or draft: name, version, state (published, superseded, draft or
        damaged), tables, rows, bytes, access, title.
    """
    found = []
    for name in store.names():
        current = store.current(name)
        drafts = [DRAFT] if store.has_draft(name) else []
        for version in (*store.versions(name), *drafts):
            state = {DRAFT: "draft", current: "published"}.get(version, "superseded")
            found.append(_entry(store, name, version, state))
    return found


def _entry(store: ReleaseStore, name: str, version: str, state: str) -> dict[str, Any]:
    try:
        release = store.open(name, version)
    except ReleaseError as error:
        return {
            "name": name,
            "version": version,
            "state": "damaged",
            "tables": 0,
            "rows": 0,
            "bytes": 0,
            "access": "",
            "title": error.message,
        }
    tables = release.tables.values()
    return {
        "name": name,
        "version": "" if version == DRAFT else version,
        "state": state,
        "tables": len(tables),
        "rows": sum(table.nrows for table in tables),
        "bytes": sum(table.catalog.size for table in tables),
        "access": release.access.describe(),
        "title": release.title,
    }


def as_table(found: Sequence[dict[str, Any]]) -> str:
    """Lay entries out in columns for a terminal."""
    rows = [{c: c.upper() for c in _COLUMNS}]
    for entry in found:
        shown = {**entry, "rows": f"{entry['rows']:,}", "size": human_size(entry["bytes"])}
        rows.append({c: str(shown[c]) for c in _COLUMNS})
    widths = {c: max(len(row[c]) for row in rows) for c in _COLUMNS}
    return "\n".join(
        "  ".join(
            row[c].rjust(widths[c]) if c in _NUMBERS else row[c].ljust(widths[c]) for c in _COLUMNS
        ).rstrip()
        for row in rows
    )
