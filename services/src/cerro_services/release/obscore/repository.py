"""The images of a Butler repository, by lsst-dax-obscore."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cerro_services.release.errors import ReleaseError
from cerro_services.release.obscore.columns import DATASET_ID, PATH
from cerro_services.release.obscore.header import size_and_scale
from cerro_services.release.obscore.rows import SPECTRAL_RANGES, Rows, completed, publisher_did
from cerro_services.release.progress import Progress

_IMAGES = ("image", "exposure", "coadd")
_TEMPLATES = {
    "lsst_visit": "{visit}",
    "lsst_detector": "{detector}",
    "lsst_tract": "{tract}",
    "lsst_patch": "{patch}",
    "lsst_band": "{band}",
    "lsst_filter": "{physical_filter}",
}
_TEXTS = frozenset({"lsst_band", "lsst_filter"})


def of_butler(draft: Path, name: str, collections: Sequence[str], progress: Progress) -> Rows:
    """Describe the images in the Butler of a draft.

    Parameters
    ----------
    draft, name
        The draft and its release.
    collections
        Collections to look in; by default all.
    progress
        Where to say how far it is.

    Returns
    -------
    dict
        Rows of ObsCore by dataset type.

    Raises
    ------
    ReleaseError
        The repository cannot be read, or has no images.
    """
    from lsst.daf.butler import Butler, MissingCollectionError
    from sqlalchemy.exc import SQLAlchemyError

    root = draft / "butler"
    try:
        butler = Butler.from_config(str(root), writeable=False)
    except (OSError, RuntimeError, ValueError, LookupError, SQLAlchemyError) as error:
        raise ReleaseError(f"{root} cannot be opened as a Butler repository: {error}") from error
    with butler:
        wanted = list(collections) or _runs(butler)
        made: Rows = {}
        try:
            kinds = _image_types(butler)
            for number, (kind, dimensions) in enumerate(kinds.items(), 1):
                progress.step("Indexing images", number, len(kinds))
                files = dict(_files(butler, kind, wanted, draft))
                if files:
                    records = _records(butler, kind, dimensions, wanted, name)
                    made[kind] = list(_rows(records, files, draft, kind, name))
        except MissingCollectionError as error:
            raise ReleaseError(f"{root}: {error}.") from error
    return {kind: rows for kind, rows in made.items() if rows}


def _runs(butler: Any) -> list[str]:
    found = butler.collections.query_info("*")
    return sorted(info.name for info in found if info.type.name == "RUN")


def _image_types(butler: Any) -> dict[str, frozenset[str]]:
    """Give the dataset types that are images of a place on the sky, and their dimensions."""
    return {
        kind.name: frozenset(kind.dimensions.names)
        for kind in butler.registry.queryDatasetTypes(...)
        if any(word in kind.storageClass_name.lower() for word in _IMAGES)
        and not kind.isComponent()
        and ({"visit", "detector"} <= set(kind.dimensions.names)
             or {"exposure", "detector"} <= set(kind.dimensions.names)
             or {"tract", "patch"} <= set(kind.dimensions.names))
    }  # fmt: skip


def _files(
    butler: Any, kind: str, collections: Sequence[str], draft: Path
) -> Iterator[tuple[str, str]]:
    """Give the file of each dataset by UUID: below the release's folder, or an address."""
    refs = butler.query_datasets(
        kind, collections=collections, find_first=False, explain=False, limit=None
    )
    for ref, uris in butler.get_many_uris(refs).items() if refs else ():
        uri = uris.primaryURI
        if uri is None:
            continue
        path = Path(uri.ospath) if uri.isLocal else None
        inside = path is not None and path.is_relative_to(draft)
        yield str(ref.id), path.relative_to(draft).as_posix() if path and inside else str(uri)


def _records(
    butler: Any, kind: str, dimensions: frozenset[str], collections: Sequence[str], name: str
) -> Iterator[dict[str, Any]]:
    from lsst.dax.obscore import ExporterConfig
    from lsst.dax.obscore.obscore_exporter import ObscoreExporter

    instruments = sorted(
        r.name for r in butler.query_dimension_records("instrument", explain=False)
    )
    facility = instruments[0] if instruments else "unknown"
    config = {
        "facility_name": facility,
        "fallback_instrument": facility,
        "obs_collection": name,
        "collections": list(collections),
        "dataset_types": {
            kind: {
                "dataproduct_type": "image",
                "dataproduct_subtype": kind,
                "calib_level": _level(kind, dimensions),
                "o_ucd": "phot.flux.density",
                "obs_id_fmt": _obs_id(dimensions),
                "datalink_url_fmt": "{id}",
            }
        },
        "extra_columns": {
            column: {"template": text, "type": "string" if column in _TEXTS else "int"}
            for column, text in _TEMPLATES.items()
        },
        "spectral_ranges": SPECTRAL_RANGES,
        "obs_publisher_did_fmt": "{id}",
    }
    return ObscoreExporter(butler, ExporterConfig.model_validate(config)).iter_records()


def _level(kind: str, dimensions: frozenset[str]) -> int:
    """Give the calibration level (ObsCore 1.1 §4.2)."""
    if "tract" in dimensions or "diff" in kind:
        return 3
    return 1 if "exposure" in dimensions else 2


def _obs_id(dimensions: frozenset[str]) -> str:
    if "tract" in dimensions:
        return "{skymap}-{tract}-{patch}" + ("-{band}" if "band" in dimensions else "")
    return ("{visit}" if "visit" in dimensions else "{exposure}") + "-{detector}"


def _rows(
    records: Iterator[dict[str, Any]],
    files: dict[str, str],
    draft: Path,
    kind: str,
    name: str,
) -> Iterator[dict[str, Any]]:
    for record in records:
        identity = record["obs_publisher_did"]
        place = files.get(identity)
        if place is None:
            # Known to the registry, but its file was removed.
            continue
        path = draft / place
        known: dict[str, Any] = {}
        if path.is_file():
            known = {**size_and_scale(path), "access_estsize": max(1, path.stat().st_size // 1000)}
        yield completed(
            {
                **record,
                **known,
                "obs_publisher_did": publisher_did(name, identity),
                "obs_title": f"{kind} {record['obs_id']}",
                PATH: place,
                DATASET_ID: identity,
            }
        )
