"""Writes the index of a draft's images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cerro_services.release.errors import ReleaseError
from cerro_services.release.obscore.columns import DATASET_ID, SCHEMA
from cerro_services.release.obscore.rows import Rows
from cerro_services.release.progress import Progress

FOLDER = "obscore"
BUTLER = "butler"


def build(
    draft: Path,
    name: str,
    progress: Progress,
    *,
    collections: Sequence[str] = (),
    images: Path | None = None,
    dataset_type: str = "image",
) -> dict[str, int]:
    """Index the images of a draft.

    Parameters
    ----------
    draft
        The draft's folder.
    name
        Name of the release.
    progress
        Where to say how far it is.
    collections
        Collections of the draft's Butler; by default all.
    images
        A folder of FITS files, which are copied into the draft, instead of the Butler.
    dataset_type
        What such files are; access is granted by it.

    Returns
    -------
    dict
        Number of images by dataset type.

    Raises
    ------
    ReleaseError
        There is no Butler and no FITS file, or one cannot be read; it is named.
    """
    found: Rows
    if images is not None:
        from cerro_services.release.obscore.plain import of_folder

        found = of_folder(draft, name, images, dataset_type, progress)
    elif (draft / BUTLER / "butler.yaml").is_file():
        from cerro_services.release.obscore.repository import of_butler

        found = of_butler(draft, name, collections, progress)
    else:
        raise ReleaseError(
            f"The draft of {name} has no Butler repository ({draft / BUTLER}). Put one there, or "
            "name a folder of FITS files: --images DIR."
        )
    folder = draft / FOLDER
    folder.mkdir(exist_ok=True)
    if images is None:
        # What an earlier index had of the Butler and this one does not would stay seen.
        for old in folder.glob("*.parquet"):
            if (
                old.stem not in found
                and pq.read_table(old, columns=[DATASET_ID])[0].null_count == 0
            ):
                old.unlink()
    for kind, rows in found.items():
        table = pa.Table.from_pylist(rows, schema=SCHEMA).sort_by("obs_publisher_did")
        partial = folder / f".{kind}.partial"
        pq.write_table(table, partial, compression="zstd")
        partial.rename(folder / f"{kind}.parquet")
    return {kind: len(rows) for kind, rows in found.items()}


def build_missing(draft: Path, name: str, progress: Progress) -> None:
    """Index the images of a draft with a Butler, unless that was done."""
    if (draft / FOLDER).is_dir() or not (draft / BUTLER / "butler.yaml").is_file():
        return
    build(draft, name, progress)
