"""The command ``cerro release``: from tables to a published release."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cerro_services.errors import CerroError
from cerro_services.release.places import bucket_of, check_bucket, entries_of, folder_of

if TYPE_CHECKING:
    from cerro_services.release.draft import Drafts
    from cerro_services.release.store import ReleaseStore

_STORE_HELP = "Folder of the release store (default: CERRO_RELEASES, else CERRO_HOME/releases)."
_PLACE_HELP = "Folder of the release store, or a bucket (default: as for the other commands)."


class _Commands(click.Group):
    """Tells an error in its own words, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CerroError as error:
            raise click.ClickException(error.message) from error
        except OSError as error:
            raise click.ClickException(_system(error)) from error


def _system(error: OSError) -> str:
    words = (error.strerror or str(error)).rstrip(".")
    return f"{error.filename}: {words}." if error.filename else f"{words}."


def _store_option(command: Any) -> Any:
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_find_store,
        help=_STORE_HELP,
    )(command)


def _find_store(
    _ctx: click.Context, _param: click.Parameter | None, value: Path | None
) -> ReleaseStore:
    from cerro_services.release.store import ReleaseStore

    if value is None:
        named = os.environ.get("CERRO_RELEASES")
        home = os.environ.get("CERRO_HOME")
        if not named and not home:
            raise click.UsageError("Say where releases lie: --store DIR, or set CERRO_RELEASES.")
        value = folder_of(named) if named else Path(str(home)) / "releases"
    return ReleaseStore(value)


def _writing_options(command: Any) -> Any:
    command = click.option(
        "--scratch",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder for temporary files, as large as the table (default: beside the table).",
    )(command)
    return click.option(
        "--memory",
        type=click.IntRange(min=16),
        default=384,
        show_default=True,
        help="Megabytes of rows held in memory while sorting.",
    )(command)


_STEPS = """\b
  cerro release schema draft FILES… --name NAME --table TABLE -o schema.yaml
  cerro release create NAME --schema schema.yaml --title "…"
  cerro release ingest NAME TABLE FILES…
  cerro release check NAME
  cerro release publish NAME
  cerro release push NAME s3://bucket/prefix"""


@click.group(cls=_Commands, epilog=_STEPS)
def release() -> None:
    """Make, check and publish data releases: from a table to what everyone can query."""


@release.command()
@click.argument("name")
@click.option(
    "--schema",
    "schema_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The data model, in Felis (YAML). Its 'name:' is NAME.",
)
@click.option("--title", required=True, help="Title for people.")
@click.option("--description", help="What it is, in a few sentences.")
@click.option("--doi", help="DOI of the release.")
@click.option("--credit", help="Whom to credit.")
@click.option("--licence", "--license", "licence", help="Licence of the data.")
@click.option(
    "--access",
    default="public",
    show_default=True,
    metavar="public|GROUP,…",
    help="Who may read it.",
)
@click.option(
    "--table-access",
    multiple=True,
    metavar="TABLE=public|GROUP,…",
    help="Who may read one table, if others than the rest. Can be repeated.",
)
@click.option(
    "--dataset-access",
    multiple=True,
    metavar="TYPE=public|GROUP,…",
    help="Who may read one Butler dataset type. Can be repeated.",
)
@click.option(
    "--examples",
    "examples_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Queries to begin with: a YAML list of name, query and description.",
)
@click.option(
    "--services",
    "services_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What can be done with rows of a table: a YAML list of service descriptors.",
)
@_store_option
def create(
    *,
    name: str,
    schema_file: Path,
    access: str,
    table_access: tuple[str, ...],
    dataset_access: tuple[str, ...],
    examples_file: Path | None,
    services_file: Path | None,
    store: ReleaseStore,
    **texts: Any,
) -> None:
    """Begin release NAME, or describe its draft anew.

    Tables that the draft already has are kept.
    """
    from cerro_services.release.access import Access
    from cerro_services.release.description import Description, read_examples, read_services
    from cerro_services.release.draft import Drafts
    from cerro_services.release.progress import Progress

    rules = Access.from_document(
        {
            "default": _rule(access),
            "tables": _rules("--table-access", table_access),
            "datasets": _rules("--dataset-access", dataset_access),
        }
    )
    title = texts.pop("title")
    examples = () if examples_file is None else read_examples(examples_file)
    services = () if services_file is None else read_services(services_file)
    about = Description(name, title or name, rules, examples=examples, services=services, **texts)
    drafts = Drafts(store, progress=Progress.on_stderr())
    folder = drafts.create(about, schema_file)
    click.echo(f"Draft of {name} in {folder}. Next: cerro release ingest {name} TABLE FILES…")


def _rule(text: str) -> str | list[str]:
    groups = [part.strip() for part in text.split(",") if part.strip()]
    return "public" if groups == ["public"] else groups


def _rules(option: str, pairs: tuple[str, ...]) -> dict[str, str | list[str]]:
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} {pair!r}: write NAME=public or NAME=GROUP,…")
        found[name] = _rule(text)
    return found


@release.command()
@click.argument("name")
@click.argument("table", required=False)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--butler", "repository", help="Read all tables from this Butler repository.")
@click.option("--collection", help="Collection of the Butler repository.")
@click.option("--again", is_flag=True, help="Ingest even what has not changed.")
@_writing_options
@_store_option
def ingest(
    *,
    name: str,
    table: str | None,
    files: tuple[Path, ...],
    repository: str | None,
    collection: str | None,
    again: bool,
    memory: int,
    scratch: Path | None,
    store: ReleaseStore,
) -> None:
    """Fill TABLE of the draft of release NAME from FILES, or all tables from a Butler.

    FILES are Parquet (or folders of Parquet), CSV, ECSV, FITS binary tables or VOTables. Each
    value is checked against the schema. A table is replaced whole, or left as it was; tables that
    are complete are not read again, so a command that was stopped is simply repeated.
    """
    drafts = _drafts(store, memory, scratch)
    if repository:
        if table or files:
            raise click.UsageError("Give either TABLE FILES… or --butler REPO.")
        if not collection:
            raise click.UsageError("--butler needs --collection.")
        filled = drafts.ingest_butler(name, repository, collection, again=again)
        click.echo(f"Ingested {len(filled)} tables, {sum(filled.values()):,} rows.")
    elif table and files:
        rows = drafts.ingest(name, table, files, again=again)
        click.echo(f"Ingested {table}: {rows:,} rows. Next: cerro release publish {name}")
    else:
        raise click.UsageError("Give TABLE FILES…, or --butler REPO --collection C.")


def _drafts(store: ReleaseStore, memory: int, scratch: Path | None) -> Drafts:
    from cerro_services.release.draft import Drafts
    from cerro_services.release.layout import Layout
    from cerro_services.release.progress import Progress

    layout = Layout(memory=memory << 20)
    return Drafts(store, layout, scratch, Progress.on_stderr())


@release.command()
@click.argument("name")
@click.option("--version", help="Check this published version (default: the draft).")
@click.option("--foreign-keys", is_flag=True, help="Look up every foreign key.")
@click.option("--store", "place", metavar="DIR|s3://…", help=_PLACE_HELP)
@click.pass_context
def check(
    context: click.Context, *, name: str, version: str | None, foreign_keys: bool, place: str | None
) -> None:
    """Verify the draft of release NAME, or a published version.

    Of a bucket, every object is read and compared with its checksum.
    """
    from cerro_services.release.progress import Progress
    from cerro_services.release.publish import check as check_folder

    if bucket := bucket_of(place):
        check_bucket(bucket, name, version)
        return
    store = _find_store(context, None, Path(place) if place else None)
    chosen = version or ("draft" if store.has_draft(name) else store.current(name) or "draft")
    root = store.folder(name, chosen)
    report = check_folder(root, name, Progress.on_stderr(), foreign_keys=foreign_keys)
    for table, rows in report.rows.items():
        click.echo(f"  {table}: {rows:,} rows")
    for table in report.empty:
        click.echo(f"  {table}: no data yet")
    if report.problems:
        lines = "\n".join(f"  {problem}" for problem in report.problems)
        raise click.ClickException(f"{name} ({chosen}) has faults:\n{lines}")
    if report.empty:
        raise click.ClickException(f"{name} ({chosen}) lacks data of {len(report.empty)} tables.")
    click.echo(f"{name} ({chosen}) is sound.")


@release.command()
@click.argument("name")
@click.option("--collection", "collections", multiple=True, help="Only these of the Butler.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy and index the FITS files of this folder, for a release without a Butler.",
)
@click.option(
    "--dataset-type", default="image", show_default=True, help="What the files of --images are."
)
@_store_option
def obscore(
    *,
    name: str,
    collections: tuple[str, ...],
    images: Path | None,
    dataset_type: str,
    store: ReleaseStore,
) -> None:
    """Index the images of release NAME's draft, so that services find and cut them.

    They are those of the Butler repository in the draft's folder butler/, or plain FITS files.
    """
    from cerro_services.release.obscore import build
    from cerro_services.release.progress import Progress

    found = build(
        store.folder(name, "draft"),
        name,
        Progress.on_stderr(),
        collections=collections,
        images=images,
        dataset_type=dataset_type,
    )
    for kind, count in found.items():
        click.echo(f"  {kind}: {count:,} images")
    click.echo(f"Indexed {sum(found.values()):,} images of {name}.")


@release.command()
@click.argument("name")
@click.option("--dataset-type", required=True, help="The images, such as deep_coadd.")
@click.option("--band", "bands", multiple=True, required=True, help="A HiPS for each band.")
@click.option("--order", type=click.IntRange(0, 20), help="Order of the finest tiles.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@_store_option
def hips(
    *,
    name: str,
    dataset_type: str,
    bands: tuple[str, ...],
    order: int | None,
    jobs: int,
    store: ReleaseStore,
) -> None:
    """Make HiPS of the images of release NAME's draft, for Aladin and other viewers.

    The images must be indexed (cerro release obscore).
    """
    from cerro_services.release.hips import Survey, build
    from cerro_services.release.progress import Progress

    for band in bands:
        survey = Survey(dataset_type, band, order)
        tiles = build(store.folder(name, "draft"), name, survey, Progress.on_stderr(), jobs)
        click.echo(f"  {survey.name}: {tiles:,} tiles")


@release.command()
@click.argument("name")
@click.option("--allow-empty", is_flag=True, help="Publish tables without data as empty tables.")
@click.option("--foreign-keys", is_flag=True, help="Look up every foreign key first.")
@_store_option
def publish(*, name: str, allow_empty: bool, foreign_keys: bool, store: ReleaseStore) -> None:
    """Verify the draft of release NAME and make it the current version, whole or not at all."""
    from cerro_services.release.progress import Progress
    from cerro_services.release.publish import Publisher

    publisher = Publisher(store, Progress.on_stderr())
    done = publisher.publish(name, allow_empty=allow_empty, foreign_keys=foreign_keys)
    rows = sum(table.nrows for table in done.tables.values())
    click.echo(
        f"Published {name}, version {done.version}: {len(done.tables)} tables, {rows:,} rows."
    )


@release.command()
@click.argument("name")
@click.argument("place", metavar="s3://BUCKET/PREFIX")
@click.option("--version", help="Push this published version (default: the current one).")
@_store_option
def push(*, name: str, place: str, version: str | None, store: ReleaseStore) -> None:
    """Copy a published version of release NAME to a bucket, and let it be current there.

    What was cut off is simply repeated: files that are there are not sent again. Nothing in the
    bucket is deleted. Where it is and who may write are told by AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, … as for other tools.
    """
    from cerro_services.release.files import human_size
    from cerro_services.release.progress import Progress
    from cerro_services.release.push import push as push_version

    bucket = bucket_of(place)
    if bucket is None:
        raise click.UsageError("Say where to: s3://bucket/prefix.")
    done = push_version(store, name, bucket, Progress.on_stderr(), version)
    there = f", {done.before} were there" if done.before else ""
    click.echo(
        f"Pushed {name}, version {done.version}, to {bucket.url}: {done.files} files, "
        f"{human_size(done.bytes)}{there}. Version {done.current} is current."
    )


@release.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--store", "place", metavar="DIR|s3://…", help=_PLACE_HELP)
@click.pass_context
def list_releases(context: click.Context, *, as_json: bool, place: str | None) -> None:
    """List releases and drafts: version, state, tables, rows, size, access."""
    from cerro_services.release.listing import as_table, entries

    if bucket := bucket_of(place):
        found, where = entries_of(bucket), bucket.url
    else:
        store = _find_store(context, None, Path(place) if place else None)
        found, where = entries(store), store.place
    if as_json:
        import json

        click.echo(json.dumps(found, indent=1))
    elif found:
        click.echo(as_table(found))
    else:
        click.echo(f"No releases in {where}.", err=True)


@release.group()
def schema() -> None:
    """Work on data models (Felis)."""


@schema.command("draft")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the release.")
@click.option("--table", required=True, help="Name of the table.")
@click.option("--ra", metavar="COLUMN", help="Column of right ascension in degrees.")
@click.option("--dec", metavar="COLUMN", help="Column of declination in degrees.")
@click.option("--key", metavar="COLUMN", help="Column that is unique for each row.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write (default: standard output).",
)
def schema_draft(files: tuple[Path, ...], output: Path | None, **options: Any) -> None:
    """Draft the Felis schema of one table from FILES, to be completed by hand."""
    from cerro_services.release import felisdraft
    from cerro_services.release.progress import Progress

    text = felisdraft.draft(files, progress=Progress.on_stderr(), **options)
    if output is None:
        sys.stdout.write(text)
        return
    felisdraft.write(text, output)
    name = options["name"]
    click.echo(
        f"Wrote {output}. Complete it, then: "
        f"cerro release create {name} --schema {output} --title …"
    )
