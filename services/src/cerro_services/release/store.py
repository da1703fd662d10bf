"""The release store: where releases lie and which version is current.

::

    <root>/<name>/draft/          being filled
    <root>/<name>/versions/<N>/   published, never changed
    <root>/<name>/current         names the version; replaced atomically
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from cerro_services.release import schema
from cerro_services.release.description import Description
from cerro_services.release.errors import DamagedError, ReleaseError, ReleaseNotFound
from cerro_services.release.hats import MANIFEST, Catalog
from cerro_services.release.model import Release, Table, TableModel

DRAFT = "draft"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_RETRY = 10.0
"""Seconds until a release that could not be read is tried again."""
_log = logging.getLogger(__name__)


class ReleaseStore:
    """The releases below one folder.

    Parameters
    ----------
    root
        The store's folder; it need not exist yet.
    place
        What people know it by; by default the folder.
    """

    def __init__(self, root: str | Path, place: str | None = None) -> None:
        # Of a bucket, the path knows where its files come from.
        self.root = root if isinstance(root, Path) else Path(root)
        self.place = place or str(root)
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[tuple[int, int], Release]] = {}
        self._failed: dict[str, tuple[tuple[int, int], float]] = {}
        self._published: tuple[Release, ...] = ()

    def names(self) -> list[str]:
        """Give the names of all releases, drafts among them, in alphabetical order."""
        try:
            entries = sorted(self.root.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [
            e.name
            for e in entries
            if NAME.fullmatch(e.name) and ((e / "current").is_file() or (e / DRAFT).is_dir())
        ]

    def current(self, name: str) -> str | None:
        """Give the current version of a release; None if nothing is published."""
        try:
            return (self.root / name / "current").read_text(encoding="ascii").strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def versions(self, name: str) -> list[str]:
        """Give the published versions of a release, oldest first."""
        folder = self.root / name / "versions"
        if not folder.is_dir():
            return []
        return sorted((p.name for p in folder.iterdir() if p.name.isdigit()), key=int)

    def has_draft(self, name: str) -> bool:
        """Tell whether a release has a draft that is described."""
        return (self.root / name / DRAFT / "release.yaml").is_file()

    def folder(self, name: str, version: str) -> Path:
        """Give the folder of a version, or of the draft.

        Raises
        ------
        ReleaseNotFound
            The store has no such release or version.
        """
        known = bool(NAME.fullmatch(name)) and (version == DRAFT or version.isdigit())
        folder = self.root / name / (DRAFT if version == DRAFT else f"versions/{version}")
        if not known or not folder.is_dir():
            which = "draft" if version == DRAFT else f"version {version!r}"
            raise ReleaseNotFound(
                f"Release {name!r} has no {which}."
                if name in self.names()
                else f"There is no release {name!r} in {self.place}."
            )
        return folder

    def open(self, name: str, version: str | None = None) -> Release:
        """Open one version of a release.

        Parameters
        ----------
        name
            Name of the release.
        version
            A version, or "draft"; by default the current one.

        Returns
        -------
        Release
            The release. Tables of a draft that have no data yet have an empty catalogue.

        Raises
        ------
        ReleaseNotFound
            The store has no such release or version.
        DamagedError
            A published table is not complete.
        """
        if not NAME.fullmatch(name):
            raise ReleaseNotFound(f"There is no release {name!r}.")
        chosen = version or self.current(name)
        if chosen is None:
            raise ReleaseNotFound(
                f"Release {name!r} is not published yet. Run: cerro release publish {name}"
                if (self.root / name / DRAFT).is_dir()
                else f"There is no release {name!r} in {self.place}."
            )
        return read_release(self.folder(name, chosen), chosen)

    def published(self) -> tuple[Release, ...]:
        """Give the current version of every published release.

        The answer is cached: a call costs a listing of the store and one ``stat`` for each
        release, and sees a new version without a restart. A release that cannot be read is left
        out until it can.

        Returns
        -------
        tuple of Release
            In alphabetical order.
        """
        with self._lock:
            found: dict[str, tuple[tuple[int, int], Release]] = {}
            for name in self.names():
                entry = self._current_of(name)
                if entry is not None:
                    found[name] = entry
            if found != self._cache:
                self._published = tuple(release for _, release in found.values())
                self._cache = found
            return self._published

    def _current_of(self, name: str) -> tuple[tuple[int, int], Release] | None:
        try:
            stat = (self.root / name / "current").stat()
        except FileNotFoundError:
            return None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        cached = self._cache.get(name)
        if cached and cached[0] == stamp:
            return cached
        failed = self._failed.get(name)
        if failed and failed[0] == stamp and time.monotonic() < failed[1]:
            return None
        try:
            return stamp, self.open(name)
        except (ReleaseError, OSError) as error:
            # Told and tried again now and then, not for every request.
            self._failed[name] = (stamp, time.monotonic() + _RETRY)
            _log.warning("Release %s is left out: %s", name, error)
            return None


def read_release(folder: Path, version: str) -> Release:
    """Read the release that lies in a folder.

    Parameters
    ----------
    folder
        Folder of a draft or of a published version.
    version
        What to call it.

    Returns
    -------
    Release
        The release.

    Raises
    ------
    ReleaseError
        The description or schema is missing or wrong.
    DamagedError
        A table of a published version is not complete.
    """
    about = Description.read(folder / "release.yaml")
    model = schema.read(schema_path(folder, about.name))
    tables: dict[str, Table] = {}
    for name, table in model.tables.items():
        catalog = Catalog.read(folder / "catalogs" / name)
        if catalog is None and version != DRAFT:
            raise DamagedError(
                f"Table {name} of {about.name} version {version} is incomplete: "
                f"{folder / 'catalogs' / name / MANIFEST} is missing."
            )
        tables[name] = _with_data(table, catalog or Catalog(folder / "catalogs" / name, ()))
    return Release(
        name=about.name,
        version=version,
        published=_when(folder),
        title=about.title,
        description=about.description or model.description,
        doi=about.doi,
        credit=about.credit,
        licence=about.licence,
        access=about.access,
        root=folder,
        tables=MappingProxyType(tables),
        foreign_keys=model.foreign_keys,
        utype=model.utype,
        examples=about.examples,
        services=about.services,
    )


def schema_path(folder: Path, name: str) -> Path:
    """Give the place of the Felis schema in the folder of a draft or version."""
    return folder / "schema" / f"{name}.yaml"


def _with_data(model: TableModel, catalog: Catalog) -> Table:
    parts = {f.name: getattr(model, f.name) for f in fields(TableModel)}
    return Table(**parts, catalog=catalog, nrows=catalog.nrows)


def _when(folder: Path) -> datetime:
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return datetime.fromisoformat(document["published"])
    except FileNotFoundError:
        return datetime.fromtimestamp((folder / "release.yaml").stat().st_mtime, UTC)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{folder / MANIFEST} cannot be read ({error}).") from error
