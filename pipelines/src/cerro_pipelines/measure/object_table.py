"""Bring measurements of objects into the columns of the table Object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from cerro_pipelines.coadd.build import coadd_inputs
from cerro_pipelines.exposure import NANOJANSKY_ZERO_POINT, Exposure
from cerro_pipelines.measure.flags import pixel_flags
from cerro_pipelines.measure.objects import Objects
from cerro_pipelines.measure.photometry import APERTURES, Photometry
from cerro_pipelines.measure.psf_store import find_psf
from cerro_pipelines.measure.stamps import Bools, Floats
from cerro_pipelines.measure.visit import psf_moments
from cerro_pipelines.schema.columns import conform, empty, sort_bands, table_model
from cerro_pipelines.skymap import Patch

_MOMENTS = ("xx", "yy", "xy")


def object_id(tract: int, patch: int, count: int) -> np.ndarray:
    """Give identifiers of the objects of a patch: tract, patch and a running number, readable.

    Parameters
    ----------
    tract, patch
        Data id; patch below 10,000.
    count
        Number of objects, below a million.
    """
    # The leading digit keeps identifiers of tract 0 positive and of one length.
    prefix = (100_000 + tract) * 10_000 + patch
    return prefix * 1_000_000 + np.arange(1, count + 1, dtype=np.int64)


def patch_table(patch: Patch, objects: Objects, coadds: Mapping[str, Exposure]) -> Table:
    """Make the table of the objects that a patch owns, with the columns of its own bands.

    Parameters
    ----------
    patch
        The patch.
    objects
        Objects measured on its coadds.
    coadds
        The coadds by band.
    """
    bands = sort_bands(coadds)
    models = objects.models
    owned = np.flatnonzero(patch.owns(models.x, models.y) & _measured(objects, bands))
    if owned.size == 0:
        return empty("Object", bands)
    some = coadds[bands[0]]
    ra, dec = some.pixel_to_sky(models.x[owned], models.y[owned])
    scale = patch.tract.pixel_scale / 3600.0
    reference = _reference_band(objects, bands)[owned]
    values: dict[str, Any] = {
        "objectId": object_id(patch.tract.id, patch.id, owned.size),
        "coord_ra": ra,
        "coord_dec": dec,
        "coord_raErr": models.x_error[owned] * scale,
        "coord_decErr": models.y_error[owned] * scale,
        "tract": patch.tract.id,
        "patch": patch.id,
        "x": models.x[owned] + patch.x0,
        "y": models.y[owned] + patch.y0,
        "refBand": np.array(bands)[reference],
        "refExtendedness": objects.extended[owned].astype(np.float32),
        "footprintArea": objects.area[owned].astype(np.int32),
        "detect_fromBlend": objects.blended[owned],
    }
    moments = np.stack([objects.bands[b].moments[owned] for b in bands])
    failed = np.stack([objects.bands[b].moments_failed[owned] for b in bands])
    rows = np.arange(owned.size)
    for k, name in enumerate(_MOMENTS):
        values[f"shape_{name}"] = moments[reference, rows, k]
    values["shape_flag"] = failed[reference, rows]
    for band in bands:
        measured = {k: v[owned] for k, v in _band_columns(objects, band, coadds[band]).items()}
        values.update({f"{band}_{k}": v for k, v in measured.items()})
    return conform("Object", values, bands)


def _measured(objects: Objects, bands: Sequence[str]) -> Bools:
    """Objects with a PSF flux in at least one band."""
    found: Bools = np.any([np.isfinite(objects.bands[b].psf_flux) for b in bands], axis=0)
    return found


def _reference_band(objects: Objects, bands: Sequence[str]) -> np.ndarray:
    """Index of the band in which each object stands out most from the noise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.stack([objects.bands[b].psf_flux / objects.bands[b].psf_error for b in bands])
    return np.argmax(np.where(np.isfinite(ratio), ratio, -np.inf), axis=0)


def _band_columns(objects: Objects, band: str, coadd: Exposure) -> dict[str, np.ndarray]:
    models, measured = objects.models, objects.bands[band]
    flags = pixel_flags(coadd.mask, models.x, models.y)
    own = psf_moments(find_psf(coadd))
    magnitude, error = magnitudes(measured.psf_flux, measured.psf_error)
    count, epoch = _epochs(coadd, models.x, models.y)
    everywhere = np.ones(len(models))
    columns: dict[str, np.ndarray] = {
        "psfFlux": measured.psf_flux,
        "psfFluxErr": measured.psf_error,
        "psfFlux_flag": ~np.isfinite(measured.psf_flux) | (measured.coverage < 0.5),
        "psfMag": magnitude,
        "psfMagErr": error,
        "apFlux_flag": measured.aperture_bad,
        "kronFlux": measured.kron_flux,
        "kronFluxErr": measured.kron_error,
        "kronFlux_flag": measured.kron_bad,
        "kronRad": measured.kron.radius,
        "cModelFlux": measured.model_flux,
        "cModelFluxErr": measured.model_error,
        "cModel_flag": ~np.isfinite(measured.model_flux) | (measured.coverage < 0.5),
        "blendedness": measured.blendedness,
        "extendedness": objects.extendedness[band],
        "inputCount": count,
        "epoch": epoch,
        "i_flag": measured.moments_failed,
        **{f"pixelFlags_{name}": flag for name, flag in flags.items()},
    }
    for k, name in enumerate(_MOMENTS):
        columns[f"i{name}"] = measured.moments[:, k]
        columns[f"i{name}PSF"] = own[k] * everywhere
    columns.update(_aperture_columns(measured))
    return columns


def _aperture_columns(measured: Photometry) -> dict[str, np.ndarray]:
    columns = {}
    for k, radius in enumerate(APERTURES):
        columns[f"ap{radius:02d}Flux"] = measured.aperture_flux[:, k]
        columns[f"ap{radius:02d}FluxErr"] = measured.aperture_error[:, k]
    return columns


def magnitudes(flux: Floats, error: Floats) -> tuple[Floats, Floats]:
    """AB magnitudes of fluxes in nJy and their errors; NaN where the flux is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = flux > 0
        magnitude = np.where(positive, NANOJANSKY_ZERO_POINT - 2.5 * np.log10(flux), np.nan)
        spread = np.where(positive, 2.5 / np.log(10.0) * error / flux, np.nan)
    return magnitude, spread


def _epochs(coadd: Exposure, x: Floats, y: Floats) -> tuple[np.ndarray, Floats]:
    """Give the number of inputs at each position and their mean time, weighted as in the coadd."""
    count = np.zeros(len(x), np.int32)
    weight, time = np.zeros(len(x)), np.zeros(len(x))
    for image in coadd_inputs(coadd):
        inside = image.contains(x, y)
        count += inside
        weight += image.weight * inside
        time += image.weight * image.mjd * inside
    with np.errstate(divide="ignore", invalid="ignore"):
        return count, np.where(weight > 0, time / weight, np.nan)


def merge_patches(tables: Iterable[Table]) -> Table:
    """Join the tables of patches into one; a band that a patch lacks is null there.

    Parameters
    ----------
    tables
        Made by `patch_table`.
    """
    parts = [t for t in tables if len(t.colnames)]
    bands = sort_bands(
        {c.removesuffix("_psfFlux") for t in parts for c in t.colnames if c.endswith("_psfFlux")}
    )
    model = table_model("Object", bands)
    full = []
    for part in parts:
        if len(part) == 0:
            continue
        values: dict[str, Any] = {}
        for column in model.columns:
            if column.name in part.colnames:
                values[column.name] = part[column.name]
            elif column.datatype == "boolean":
                values[column.name] = np.ones(len(part), dtype=bool)
            elif column.datatype in ("int", "long"):
                values[column.name] = np.zeros(len(part), dtype=np.int64)
            else:
                values[column.name] = np.full(len(part), np.nan)
        full.append(conform("Object", values, bands))
    if not full:
        return empty("Object", bands)
    merged: Table = vstack(full, metadata_conflicts="silent")
    merged.sort("objectId")
    return merged
