"""A release being filled: ``cerro release create`` and ``ingest``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cerro_services.release import butler, manifest, schema
from cerro_services.release.conform import match
from cerro_services.release.description import Description
from cerro_services.release.errors import ReleaseError, ReleaseNotFound, SchemaError
from cerro_services.release.files import (
    human_size,
    locked,
    sync,
    sync_tree,
    telling_of_full_disk,
    write_text,
)
from cerro_services.release.layout import Layout
from cerro_services.release.manifest import TableManifest
from cerro_services.release.model import TableModel
from cerro_services.release.progress import Progress
from cerro_services.release.readers import TableSource, open_sources
from cerro_services.release.services import check_services
from cerro_services.release.store import DRAFT, NAME, ReleaseStore, schema_path
from cerro_services.release.writer import Writer

_RESERVED = frozenset({"tap_schema", "tap_upload", "ivoa"})


@dataclass(frozen=True)
class Drafts:
    """Makes and fills drafts in a store.

    Parameters
    ----------
    store
        Where releases lie.
    layout
        Sizes of what is written, and memory.
    scratch
        Folder for temporary files; by default beside the table, on the store's disk.
    progress
        Where to say how far it is.
    """

    store: ReleaseStore
    layout: Layout = field(default_factory=Layout)
    scratch: Path | None = None
    progress: Progress = field(default_factory=Progress)

    def create(self, about: Description, schema_file: Path) -> Path:
        """Begin a draft, or describe an existing one anew.

        Tables that an existing draft has are kept; those that the new schema no longer fits are
        reported by ``check`` and replaced by the next ``ingest``.

        Parameters
        ----------
        about
            What release.yaml will say.
        schema_file
            The Felis schema.

        Returns
        -------
        Path
            The draft's folder.

        Raises
        ------
        SchemaError
            The schema is not valid, or does not fit the release.
        """
        if not NAME.fullmatch(about.name):
            raise ReleaseError(
                f"{about.name!r} cannot name a release: its name is its schema in queries, so give "
                "letters, digits and underscores, beginning with a letter."
            )
        folded = {name.casefold(): name for name in self.store.names()}
        other = folded.get(about.name.casefold(), about.name)
        if about.name.casefold() in _RESERVED or other != about.name:
            taken = f"release {other!r}" if other != about.name else "a schema of the TAP standard"
            raise ReleaseError(
                f"The name {about.name!r} is taken by {taken}: queries do not tell upper from "
                "lower case. Choose another."
            )
        resolved = schema.validate(schema_file, resolve=True)
        text = resolved or schema_file.read_text(encoding="utf-8")
        model = schema.read(schema_file)
        if model.name != about.name:
            raise SchemaError(
                f"{schema_file} describes {model.name!r}, but the release is {about.name!r}. "
                "Let 'name:' at its top be the release's name."
            )
        with self._writing(about.name, "create") as draft:
            write_text(schema_path(draft, about.name), text)
            stored = schema.read(schema_path(draft, about.name))
            schema.check_storable(stored, schema_file)
            check_access(about, stored.tables)
            check_services(about.services, stored.tables)
            write_text(draft / "release.yaml", about.to_yaml())
            sync(draft.parent)
        return draft

    def ingest(self, name: str, table: str, paths: Sequence[Path], *, again: bool = False) -> int:
        """Fill one table of a draft from files.

        Parameters
        ----------
        name, table
            The release and the table.
        paths
            Files or folders that hold its rows.
        again
            Whether to ingest even if the table already has these files.

        Returns
        -------
        int
            Rows of the table.

        Raises
        ------
        DataError
            A file is damaged or does not match the schema; the table is as it was.
        """
        with self._writing(name, f"ingest of {table}") as draft:
            model = self._model(draft, name, table)
            return self._fill(draft, model, open_sources(paths), again=again)

    def ingest_butler(
        self, name: str, repository: str, collection: str, *, again: bool = False
    ) -> dict[str, int]:
        """Fill the tables of a draft from a Butler repository.

        Parameters
        ----------
        name
            The release.
        repository, collection
            Where the datasets are. The dataset type of a table is its name in snake case.
        again
            Whether to ingest tables that have not changed.

        Returns
        -------
        dict
            Rows by table, for the tables that the repository has.
        """
        with self._writing(name, f"ingest from {repository}") as draft:
            tables = self._tables(draft, name)
            filled: dict[str, int] = {}
            with butler.open_tables(repository, collection, tables) as found:
                for number, (table, sources) in enumerate(found.items(), 1):
                    self.progress.say(f"Ingesting {table} ({number}/{len(found)})")
                    filled[table] = self._fill(draft, tables[table], sources, again=again)
            for table in tables.keys() - filled.keys():
                self.progress.say(f"Table {table}: {repository} has no such dataset type")
            return filled

    def ingest_nothing(self, name: str, table: str) -> None:
        """Let a table be published without rows."""
        with self._writing(name, f"ingest of {table}") as draft:
            self._fill(draft, self._model(draft, name, table), [], again=True)

    # ---- inside -------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, name: str, doing: str) -> Iterator[Path]:
        folder = self.store.root / name
        with telling_of_full_disk(folder), locked(folder, doing):
            draft = folder / DRAFT
            tidy(draft)
            yield draft

    def _tables(self, draft: Path, name: str) -> Mapping[str, TableModel]:
        if not (draft / "release.yaml").is_file():
            state = "has no draft" if self.store.current(name) else "does not exist"
            raise ReleaseNotFound(
                f"Release {name!r} {state}. Begin one: cerro release create {name} --schema FILE …"
            )
        return schema.read(schema_path(draft, name)).tables

    def _model(self, draft: Path, name: str, table: str) -> TableModel:
        tables = self._tables(draft, name)
        if table not in tables:
            raise ReleaseError(
                f"The schema of {name} has no table {table!r}; it has {', '.join(tables)}."
            )
        return tables[table]

    def _fill(
        self, draft: Path, table: TableModel, sources: Sequence[TableSource], *, again: bool
    ) -> int:
        catalogs = draft / "catalogs"
        target = catalogs / table.name
        inputs = manifest.describe_inputs(sources)
        before = TableManifest.read(target)
        marks = manifest.fingerprint(table)
        if before and not again and before.inputs == inputs and before.fingerprint == marks:
            self.progress.say(f"{table.name}: already ingested, {before.rows:,} rows")
            return before.rows
        matched = [match(source, table) for source in sources]
        self._mention(matched_ignored={n for m in matched for n in m.ignored}, table=table)
        for warning in (w for source in sources for w in source.warnings):
            self.progress.say(f"Warning: {warning}")
        partial = catalogs / f".{table.name}.partial"
        scratch = (self.scratch or catalogs) / f".{draft.parent.name}.{table.name}.scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            writer = Writer(table, partial, scratch, self.layout, self.progress)
            files = writer.write(matched)
            rows = sum(file.rows for file in files if file.kind == "data")
            order = writer.order[0] if writer.order else None
            TableManifest(
                table.name, rows, marks, inputs, files, manifest.now(), order, manifest.FORMAT
            ).write(partial)
            sync_tree(partial)
            replace_folder(partial, target)
        finally:
            # Given back at once, above all when the disk is full.
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(partial, ignore_errors=True)
        size = sum(file.bytes for file in files)
        parts = sum(file.kind == "data" for file in files)
        self.progress.say(f"{table.name}: {rows:,} rows, {parts} files, {human_size(size)}")
        return rows

    def _mention(self, *, matched_ignored: set[str], table: TableModel) -> None:
        if matched_ignored:
            names = ", ".join(sorted(matched_ignored))
            self.progress.say(
                f"Warning: {table.name}: left out, for the schema does not have them: {names}"
            )


def check_access(about: Description, tables: Collection[str]) -> None:
    """Refuse access rules for tables that do not exist: a slip there would open a table.

    Raises
    ------
    ReleaseError
        A rule names an unknown table.
    """
    if unknown := set(about.access.tables) - set(tables):
        raise ReleaseError(
            f"access: there is no table {', '.join(sorted(unknown))}; "
            f"tables are {', '.join(sorted(tables))}."
        )


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in the place of another; see `tidy` for what a crash leaves."""
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        target.rename(old)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def tidy(draft: Path) -> None:
    """Clear what a killed process left in a draft.

    A table whose replacement was cut between its two renames gets its old files back.
    """
    catalogs = draft / "catalogs"
    if not catalogs.is_dir():
        return
    for entry in list(catalogs.iterdir()):
        match_ = re.fullmatch(r"\.(.+)\.(partial|scratch|old)", entry.name)
        if match_ is None:
            continue
        if match_[2] == "old" and not (catalogs / match_[1]).exists():
            entry.rename(catalogs / match_[1])
        else:
            shutil.rmtree(entry, ignore_errors=True)
