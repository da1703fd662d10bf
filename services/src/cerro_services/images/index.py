"""Finds images in the indexes of the releases (``obscore/*.parquet``).

All services know images only through this: what a caller may not see is not found.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release import Release
from cerro_services.release.obscore.columns import DATASET_TYPE, MODEL, PATH, SCHEMA

_FOLDER = "obscore"
_STORED = SCHEMA.append(pa.field(DATASET_TYPE, pa.string()))


class ImageUnavailableError(CerroError, code="image_unavailable", status=404):
    """An image that does not exist, or that the caller may not see: the answer is the same."""


@dataclass(frozen=True)
class Image:
    """One image of a release.

    Parameters
    ----------
    id
        Its obs_publisher_did.
    release, version
        The release, and the version that is current.
    dataset_type
        What it is; access is granted by it.
    root
        The folder of the version.
    place
        Its file below that folder.
    row
        Its columns of ObsCore.
    """

    id: str
    release: str
    version: str
    dataset_type: str
    root: Path
    place: str
    row: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / self.place


class Images:
    """The images of all releases.

    Parameters
    ----------
    context
        What the services share.
    """

    def __init__(self, context: Context) -> None:
        self._store = context.store

    def find(self, ids: Sequence[str], caller: Caller) -> dict[str, Image]:
        """Give images by their identifiers.

        Parameters
        ----------
        ids
            Values of obs_publisher_did.
        caller
            Who asks.

        Returns
        -------
        dict
            Without those that do not exist or that the caller may not see.
        """
        found: dict[str, Image] = {}
        wanted = pa.array(list(dict.fromkeys(ids)), pa.string())
        for release in self._store.published():
            table = table_of(release, caller.groups)
            if table.num_rows:
                chosen = table.filter(pc.is_in(table["obs_publisher_did"], wanted))
                found |= {image.id: image for image in _images(chosen, release)}
        return found

    def overlapping(
        self,
        caller: Caller,
        ra: float,
        dec: float,
        radius: float,
        *,
        release: str | None = None,
        dataset_type: str | None = None,
        bands: Collection[str] = (),
    ) -> list[Image]:
        """Give the images that may show something of a circle.

        Parameters
        ----------
        caller
            Who asks.
        ra, dec, radius
            The circle (ICRS, degrees).
        release, dataset_type, bands
            Only those; by default all.

        Returns
        -------
        list of Image
            Those whose circumscribed circle (s_ra, s_dec, s_fov) meets it: more than whose pixels
            do, none fewer.
        """
        made: list[Image] = []
        for each in self._store.published():
            if release is not None and each.name != release:
                continue
            table = table_of(each, caller.groups)
            if not table.num_rows:
                continue
            close = near(table, ra, dec, radius)
            if dataset_type is not None:
                close = pc.and_(close, pc.equal(table[DATASET_TYPE], dataset_type))
            if bands:
                wanted = pa.array(list(bands), pa.string())
                close = pc.and_(close, pc.is_in(table["lsst_band"], wanted))
            made += _images(table.filter(close), each)
        return made


def table_of(release: Release, groups: Collection[str], base: str | None = None) -> pa.Table:
    """Give the index of a release as members of some groups may see it.

    Parameters
    ----------
    release
        The release.
    groups
        Groups of the caller.
    base
        The platform's address, which is put before the links; by default they are left as stored.

    Returns
    -------
    pyarrow.Table
        The columns of ObsCore and the private ones; empty if the release has no images.
    """
    kinds = [
        kind for kind in _kinds(release.root) if release.access.allows(groups, dataset_type=kind)
    ]
    table = pa.concat_tables(
        [_stored(release.root, kind) for kind in kinds] or [_STORED.empty_table()]
    )
    if base is None:
        return table
    place = table.schema.get_field_index("access_url")
    links = pc.binary_join_element_wise(base, table["access_url"], "")
    return table.set_column(place, table.schema.field(place), links)


def has_images(releases: Iterable[Release], groups: Collection[str]) -> bool:
    """Tell whether members of some groups see any image."""
    return any(table_of(release, groups).num_rows for release in releases)


def public_columns(table: pa.Table) -> pa.Table:
    """Give the columns that TAP shows."""
    return table.select([column.name for column in MODEL.columns])


@lru_cache(maxsize=256)
def _kinds(root: Path) -> tuple[str, ...]:
    """Give the dataset types of a version, which never changes once it is published."""
    try:
        return tuple(sorted(p.stem for p in (root / _FOLDER).glob("*.parquet")))
    except OSError:
        return ()


@lru_cache(maxsize=64)
def _stored(root: Path, kind: str) -> pa.Table:
    table = pq.read_table(root / _FOLDER / f"{kind}.parquet", schema=SCHEMA)
    return table.append_column(_STORED.field(DATASET_TYPE), pa.repeat(kind, len(table))).cast(
        _STORED
    )


def _images(table: pa.Table, release: Release) -> list[Image]:
    return [
        Image(
            row["obs_publisher_did"],
            release.name,
            release.version,
            row[DATASET_TYPE],
            release.root,
            row[PATH],
            row,
        )
        for row in table.to_pylist()
    ]


def near(table: pa.Table, ra: float, dec: float, radius: float) -> pa.ChunkedArray:
    """Tell which images of an index may show something of a circle.

    Parameters
    ----------
    table
        The index.
    ra, dec, radius
        The circle (ICRS, degrees).

    Returns
    -------
    pyarrow.ChunkedArray
        Whether the circle round an image meets it.
    """
    import numpy as np

    lon, lat = (np.radians(table[name].to_numpy()) for name in ("s_ra", "s_dec"))
    reach = np.radians(radius + np.nan_to_num(table["s_fov"].to_numpy(), nan=360.0) / 2)
    a, d = math.radians(ra), math.radians(dec)
    # Half the chord: exact for small angles, where a cosine is not.
    half = np.sin((lat - d) / 2) ** 2 + np.cos(lat) * math.cos(d) * np.sin((lon - a) / 2) ** 2
    apart = 2 * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return pa.chunked_array([pa.array(~(apart > reach))])
