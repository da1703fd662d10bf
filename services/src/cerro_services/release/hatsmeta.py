"""What HATS wants beside the partitions (IVOA Note HATS 1.0, §4): properties and metadata."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release.files import sync
from cerro_services.release.hats import ORDER
from cerro_services.release.manifest import StoredFile, now
from cerro_services.release.model import SPATIAL_INDEX, TableModel
from cerro_services.release.partitions import Tile

_MOST_CHUNKS = 2_000_000
"""Above this number of column chunks ``_metadata``, which HATS makes optional, is not written."""


def write(
    folder: Path,
    table: TableModel,
    schema: pa.Schema,
    tiles: Sequence[Tile],
    footers: Sequence[pq.FileMetaData],
    *,
    nrows: int,
    max_rows: int,
) -> list[StoredFile]:
    """Write the properties, the list of partitions and the Parquet metadata of a catalogue.

    Parameters
    ----------
    folder
        The catalogue's folder, with its partitions.
    table
        The data model.
    schema
        As stored.
    tiles, footers
        The partitions and the Parquet footer of each.
    nrows, max_rows
        Rows of the catalogue, and most rows of a partition.

    Returns
    -------
    list of StoredFile
        What was written.
    """
    lines = "".join(f"{tile.norder},{tile.npix}\n" for tile in tiles)
    (folder / "partition_info.csv").write_text(f"Norder,Npix\n{lines}")
    properties = _properties(folder, table, tiles, nrows, max_rows)
    for name in ("hats.properties", "properties"):
        (folder / name).write_text(properties)
    names = ["partition_info.csv", "hats.properties", "properties", "dataset/_common_metadata"]
    pq.write_metadata(schema, folder / "dataset/_common_metadata")
    chunks = sum(f.num_row_groups * f.num_columns for f in footers)
    if chunks <= _MOST_CHUNKS:
        whole: list[pq.FileMetaData] = []
        for tile, footer in zip(tiles, footers, strict=True):
            footer.set_file_path(tile.path.removeprefix("dataset/"))
            whole.append(footer)
        pq.write_metadata(schema, folder / "dataset/_metadata", metadata_collector=whole)
        names.append("dataset/_metadata")
    for name in names:
        sync(folder / name)
    return [StoredFile.of(folder, name, "meta") for name in names]


def _properties(
    folder: Path, table: TableModel, tiles: Sequence[Tile], nrows: int, max_rows: int
) -> str:
    # HATS wants to know; LSST names tables of detections Source, ForcedSource, DiaSource.
    kind = "source" if table.name.lower().endswith("source") else "object"
    size = sum((folder / tile.path).stat().st_size for tile in tiles)
    covered = sum(4.0**-tile.norder for tile in tiles) / 12
    values = {
        "obs_collection": table.name,
        "dataproduct_type": kind,
        "hats_nrows": nrows,
        "hats_col_ra": table.ra,
        "hats_col_dec": table.dec,
        "hats_col_healpix": SPATIAL_INDEX,
        "hats_col_healpix_order": ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_max_rows": max_rows,
        "hats_order": max(tile.norder for tile in tiles),
        "hats_estsize": size // 1024,
        "moc_sky_fraction": f"{covered:.5f}",
        "hats_builder": "cerro",
        "hats_creation_date": now().replace("+00:00", "Z"),
        "hats_version": "v1.0",
    }
    principal = [c.name for c in table.columns if c.principal]
    if principal:
        values["hats_cols_default"] = " ".join(principal)
    return "#HATS catalog\n" + "".join(f"{key}={value}\n" for key, value in values.items())
