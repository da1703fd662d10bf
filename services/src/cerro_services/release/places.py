"""Where the commands of releases look for them: a folder or a bucket."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from cerro_services.objects import Bucket

_BUCKET = "s3://"


def folder_of(named: str) -> Path:
    """Give the folder among the places that CERRO_RELEASES names.

    Raises
    ------
    click.UsageError
        There is none.
    """
    places = [place for part in named.split(",") if (place := part.strip())]
    folders = [Path(place) for place in places if not place.startswith(_BUCKET)]
    if not folders:
        raise click.UsageError(
            "Releases are made in a folder and then pushed to a bucket. Say where: --store DIR."
        )
    return folders[0]


def bucket_of(place: str | None) -> Bucket | None:
    """Give the bucket that a place is.

    Parameters
    ----------
    place
        A folder or ``s3://bucket/prefix``; by default what CERRO_RELEASES names.

    Returns
    -------
    Bucket or None
        None if the place is a folder.

    Raises
    ------
    click.UsageError
        It is no address of a bucket.
    """
    named = os.environ.get("CERRO_RELEASES", "").strip() if place is None else place
    if not named.startswith(_BUCKET) or (place is None and "," in named):
        return None
    from cerro_services.objects import Bucket

    try:
        return Bucket(named)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def entries_of(bucket: Bucket) -> list[dict[str, Any]]:
    """Describe the current version of every release in a bucket, as ``cerro release list`` does."""
    from cerro_services.objects import Cache
    from cerro_services.release.listing import entries
    from cerro_services.release.mirror import Mirror

    with tempfile.TemporaryDirectory() as folder:
        mirror = Mirror(bucket, Cache(Path(folder), 0))
        mirror.sync()
        if mirror.trouble and not mirror.store.names():
            raise click.ClickException(mirror.trouble)
        return entries(mirror.store)


def check_bucket(bucket: Bucket, name: str, version: str | None) -> None:
    """Verify a version in a bucket, and say what was found.

    Raises
    ------
    click.ClickException
        Something is wrong.
    """
    from cerro_services.release.progress import Progress
    from cerro_services.release.push import verify

    current = bucket.get(f"{name}/current")
    chosen = version or (current.decode("ascii", "replace").strip() if current else "")
    if not chosen.isdigit():
        raise click.ClickException(f"There is no release {name!r} in {bucket.url}.")
    rows, problems = verify(bucket, name, chosen, Progress.on_stderr())
    for table, count in rows.items():
        click.echo(f"  {table}: {count:,} rows")
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise click.ClickException(f"{name} ({chosen}) has faults:\n{lines}")
    click.echo(f"{name} ({chosen}) is sound.")
