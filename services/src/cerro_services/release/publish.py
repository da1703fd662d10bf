"""``cerro release check`` and ``publish``: everything is verified, then one rename publishes it.

The order of steps, each synced to disk before the next, so that a crash at any moment leaves the
old version or the new one:

1. ``draft/manifest.json`` is written: the draft is whole.
2. ``draft`` becomes ``versions/N``.
3. ``current`` is replaced.

A crash after 1 leaves a draft that ``publish`` verifies again. A crash after 2 leaves a version
that no one sees; the next ``publish`` finds it newer than ``current`` and takes step 3.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cerro_services.release import manifest, schema
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts, check_access, tidy
from cerro_services.release.errors import CheckError, ReleaseError, ReleaseNotFound
from cerro_services.release.files import locked, sha256, sync, telling_of_full_disk, write_text
from cerro_services.release.foreignkeys import check_foreign_keys
from cerro_services.release.hats import MANIFEST
from cerro_services.release.manifest import TableManifest
from cerro_services.release.model import Release, TableModel
from cerro_services.release.obscore.build import build_missing
from cerro_services.release.progress import Progress
from cerro_services.release.services import check_services
from cerro_services.release.store import (
    DRAFT,
    ReleaseStore,
    read_release,
    schema_path,
)
from cerro_services.release.verify import check_table


@dataclass
class Report:
    """What a check found.

    Parameters
    ----------
    rows, bytes
        By table.
    problems
        What must be mended before publishing, one line each.
    empty
        Tables of the schema without data.
    """

    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def check(folder: Path, name: str, progress: Progress, *, foreign_keys: bool = False) -> Report:
    """Verify a draft or version: its description, schema, files, checksums, rows and keys.

    Parameters
    ----------
    folder
        The draft's or version's folder.
    name
        Name of the release.
    progress
        Where to say how far it is.
    foreign_keys
        Whether to look up every foreign key.

    Returns
    -------
    Report
        What was found; a problem does not end the check.
    """
    report = Report()
    try:
        about = Description.read(folder / "release.yaml")
        if about.name != name:
            report.problems.append(f"release.yaml names {about.name!r}, the folder {name!r}.")
        schema.validate(schema_path(folder, name))
        model = schema.read(schema_path(folder, name))
        schema.check_storable(model, schema_path(folder, name))
        check_access(about, model.tables)
        check_services(about.services, model.tables)
    except ReleaseError as error:
        report.problems.append(error.message)
        return report
    for number, (table_name, table) in enumerate(model.tables.items(), 1):
        progress.step("Checking tables", number, len(model.tables))
        _check_one(folder / "catalogs" / table_name, table, report)
    if folder.name != DRAFT:
        # A draft may have the manifest of a publication that was cut off, and change after it.
        report.problems += _check_described(folder)
    if foreign_keys and not report.problems:
        release = read_release(folder, DRAFT)
        report.problems += check_foreign_keys(release, progress)
    return report


def _check_described(folder: Path) -> list[str]:
    """Compare what a published version says of itself with its manifest."""
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sums = dict(document["files"])
        sums |= {f"catalogs/{t}/{MANIFEST}": e["sha256"] for t, e in document["tables"].items()}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        return [f"{folder / MANIFEST} cannot be read ({error})."]
    return [
        f"{folder / path} has changed since it was published."
        for path, digest in sums.items()
        if not (folder / path).is_file() or sha256(folder / path) != digest
    ]


def _check_one(folder: Path, table: TableModel, report: Report) -> None:
    try:
        stored = TableManifest.read(folder)
    except ReleaseError as error:
        report.problems.append(error.message)
        return
    if stored is None:
        report.empty.append(table.name)
        return
    report.rows[table.name] = stored.rows
    report.bytes[table.name] = sum(f.bytes for f in stored.files)
    if stored.fingerprint != manifest.fingerprint(table):
        report.problems.append(
            f"Table {table.name}: the schema has changed since its rows were ingested. "
            "Ingest it again."
        )
        return
    report.problems += check_table(folder, table, stored)


@dataclass(frozen=True)
class Publisher:
    """Publishes drafts.

    Parameters
    ----------
    store
        Where releases lie.
    progress
        Where to say how far it is.
    """

    store: ReleaseStore
    progress: Progress = field(default_factory=Progress)

    def publish(
        self, name: str, *, allow_empty: bool = False, foreign_keys: bool = False
    ) -> Release:
        """Verify a draft and make it the current version.

        Parameters
        ----------
        name
            The release.
        allow_empty
            Whether tables of the schema may have no rows.
        foreign_keys
            Whether to look up every foreign key first.

        Returns
        -------
        Release
            The published version.

        Raises
        ------
        CheckError
            Something must be mended first; nothing has changed.
        """
        folder = self.store.root / name
        with telling_of_full_disk(folder):
            if (unfinished := self._unfinished(name)) is not None:
                with locked(folder, "publish"):
                    self.progress.say(f"Finishing the interrupted publication of {name}")
                    self._make_current(folder, unfinished)
                return self.store.open(name)
            self._draft(name)
            if allow_empty:
                self._fill_empty(name)
            with locked(folder, "publish"):
                tidy(folder / DRAFT)
                return self._publish(folder, name, foreign_keys=foreign_keys)

    def _draft(self, name: str) -> Path:
        draft = self.store.root / name / DRAFT
        if not (draft / "release.yaml").is_file():
            raise ReleaseNotFound(
                f"Release {name!r} has no draft to publish; version {self.store.current(name)} "
                "is current."
                if self.store.current(name)
                else f"There is no release {name!r} in {self.store.root}."
            )
        return draft

    def _fill_empty(self, name: str) -> None:
        draft = self.store.open(name, DRAFT)
        for table in draft.tables.values():
            if not table.catalog.files:
                Drafts(self.store, progress=self.progress).ingest_nothing(name, table.name)

    def _publish(self, folder: Path, name: str, *, foreign_keys: bool) -> Release:
        draft = folder / DRAFT
        build_missing(draft, name, self.progress)
        report = check(draft, name, self.progress, foreign_keys=foreign_keys)
        if report.empty:
            report.problems.insert(
                0,
                f"The schema has tables without data: {', '.join(report.empty)}. Ingest them, "
                "take them out of the schema, or publish with --allow-empty.",
            )
        if report.problems:
            raise CheckError(name, report.problems)
        version = str(max(map(int, self.store.versions(name)), default=0) + 1)
        self.progress.say(f"Publishing {name}, version {version}")
        if (draft / "butler").is_dir():
            # Other processes wrote the repository; let the system put it on disk.
            os.sync()
        write_text(draft / MANIFEST, _version_manifest(draft, name, version, report))
        versions = folder / "versions"
        versions.mkdir(exist_ok=True)
        draft.rename(versions / version)
        sync(versions)
        self._make_current(folder, version)
        return self.store.open(name)

    def _make_current(self, folder: Path, version: str) -> None:
        sync(folder)
        write_text(folder / "current", f"{version}\n")

    def _unfinished(self, name: str) -> str | None:
        """Give the version that was renamed but never became current."""
        current = int(self.store.current(name) or 0)
        newer = [v for v in self.store.versions(name) if int(v) > current]
        if (self.store.root / name / DRAFT / "release.yaml").is_file():
            # A newer draft supersedes it.
            return None
        return newer[-1] if newer else None


def _version_manifest(draft: Path, name: str, version: str, report: Report) -> str:
    described = [draft / "release.yaml", schema_path(draft, name)]
    tables: Mapping[str, object] = {
        table: {
            "rows": rows,
            "bytes": report.bytes[table],
            "sha256": sha256(draft / "catalogs" / table / MANIFEST),
        }
        for table, rows in report.rows.items()
    }
    document = {
        "name": name,
        "version": version,
        "published": manifest.now(),
        "files": {str(path.relative_to(draft)): sha256(path) for path in described},
        "tables": tables,
    }
    return json.dumps(document, indent=1)
