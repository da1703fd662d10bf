"""Quality of the reductions: the simulated survey against its truth, VISTA against itself.

Completeness and purity of Objects by magnitude, astrometric residuals, bias and pull of fluxes in
each band, recovery of what varies; for VISTA the scatter of repeated photometry and the share of
the sources of the SWarp coadd that is found.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS
from lsst.daf.butler import Butler
from scipy.spatial import cKDTree

_ARCSEC = np.pi / 180.0 / 3600.0
_MATCH = 0.5  # arcsec within which an Object is taken for a true source
_CENTRE = 0.9  # share of the half field inside which completeness counts: all visits cover it


def _vectors(ra: Any, dec: Any) -> np.ndarray:
    lon, lat = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _spread(values: np.ndarray) -> float:
    """Give the standard deviation as the median absolute deviation tells it."""
    values = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) if values.size else np.nan


def match_unique(
    truth: np.ndarray, found: np.ndarray, brightness: np.ndarray, radius: float
) -> np.ndarray:
    """Match true sources, brightest first, to the nearest detection that is still free.

    Parameters
    ----------
    truth, found
        Directions, shape (n, 3) and (m, 3).
    brightness
        Of the true sources, shape (n,).
    radius
        In arcsec.

    Returns
    -------
    ndarray of int, shape (n,)
        Index of the detection, -1 where none is left.
    """
    tree = cKDTree(found)
    near = tree.query_ball_point(truth, radius * _ARCSEC)
    result = np.full(len(truth), -1)
    taken: set[int] = set()
    for index in np.argsort(-brightness, kind="stable"):
        free = [k for k in near[index] if k not in taken]
        if free:
            best = min(free, key=lambda k: float(np.sum((found[k] - truth[index]) ** 2)))
            result[index] = best
            taken.add(best)
    return result


def _central(truth: Table, objects: Table) -> np.ndarray:
    """Choose the true sources in the part of the field that every visit covers."""
    ra, dec = np.asarray(objects["coord_ra"]), np.asarray(objects["coord_dec"])
    middle_ra, middle_dec = (ra.max() + ra.min()) / 2.0, (dec.max() + dec.min()) / 2.0
    width, height = np.ptp(ra) / 2.0, np.ptp(dec) / 2.0
    inside: np.ndarray = np.abs(np.asarray(truth["ra"]) - middle_ra) < _CENTRE * width
    return inside & (np.abs(np.asarray(truth["dec"]) - middle_dec) < _CENTRE * height)


def object_quality(objects: Table, truth: Table, bands: list[str]) -> dict[str, float | str]:
    """Compare Objects with the truth.

    Parameters
    ----------
    objects
        The table Object.
    truth
        The table TruthObject.
    bands
        Bands of both.
    """
    figures: dict[str, float | str] = {"objects": len(objects)}
    there = _vectors(truth["ra"], truth["dec"])
    here = _vectors(objects["coord_ra"], objects["coord_dec"])
    fluxes = {b: np.asarray(truth[f"{b}_flux"], float) for b in bands}
    reference = "r" if "r" in bands else bands[0]
    match = match_unique(there, here, fluxes[reference], _MATCH)
    # An object is true if any true source lies within the match radius of it, blends included.
    distance, _ = cKDTree(there).query(here)
    real = distance < _MATCH * _ARCSEC
    figures["purity_%"] = 100.0 * float(real.mean())
    error = np.asarray(objects[f"{reference}_psfFluxErr"], float)
    ratio = np.asarray(objects[f"{reference}_psfFlux"], float) / error
    for low, high in ((5, 10), (10, 20), (20, np.inf)):
        own = (ratio >= low) & (ratio < high)
        figures[f"purity_{reference}_snr_{low}_to_{high}_%"] = 100.0 * float(real[own].mean())
    kind = np.asarray(truth["truthType"]).astype(str)
    constant = ~np.asarray(truth["isVariable"], bool) & (kind != "transient")
    base = _central(truth, objects) & constant
    magnitude = np.asarray(truth[f"{reference}_mag"], float)
    star = np.asarray(truth["isPointSource"], bool)
    found = match >= 0
    for low, high in ((17, 20), (20, 22), (22, 23), (23, 24), (24, 24.5), (24.5, 25), (25, 25.5)):
        own = base & (magnitude >= low) & (magnitude < high)
        for name, sort in (("stars", star), ("galaxies", ~star)):
            if (own & sort).sum() > 5:
                share = 100.0 * float(found[own & sort].mean())
                figures[f"completeness_{name}_{reference}_{low}_to_{high}_%"] = share
    limit = 10.0 * float(np.nanmedian(error))
    bright = base & star & (fluxes[reference] > limit)
    figures[f"completeness_stars_{reference}_above_snr_10_%"] = 100.0 * float(found[bright].mean())
    matched = base & found
    rows = match[matched]
    offset = np.sqrt(np.sum((there[matched] - here[rows]) ** 2, axis=1)) / _ARCSEC * 1000.0
    for low, high in ((17, 20), (20, 22), (22, 24)):
        own = star[matched] & (magnitude[matched] >= low) & (magnitude[matched] < high)
        figures[f"astrometry_median_{reference}_{low}_to_{high}_mas"] = float(
            np.median(offset[own])
        )
    for band in bands:
        figures |= _flux_quality(objects[rows], fluxes[band][matched], star[matched], band)
    return figures


def _flux_quality(
    objects: Table, flux: np.ndarray, star: np.ndarray, band: str
) -> dict[str, float | str]:
    figures: dict[str, float | str] = {}
    for name, column, sort in (
        ("stars_psf", "psfFlux", star),
        ("galaxies_cModel", "cModelFlux", ~star),
    ):
        value = np.asarray(objects[f"{band}_{column}"], float)
        error = np.asarray(objects[f"{band}_{column}Err"], float)
        noise = np.asarray(objects[f"{band}_psfFluxErr"], float)
        for low, high in ((10, 30), (30, 100), (100, 1000)):
            # Chosen by the true flux, so that the choice does not follow the noise.
            own = sort & (flux > low * noise) & (flux < high * noise) & np.isfinite(value)
            if own.sum() < 10:
                continue
            label = f"{band}_{name}_snr_{low}_to_{high}"
            figures[f"{label}_bias_%"] = 100.0 * float(np.median(value[own] / flux[own] - 1.0))
            figures[f"{label}_pull_width"] = _spread((value[own] - flux[own]) / error[own])
    return figures


def variable_quality(
    dia_objects: Table, dia_sources: Table, truth: Table, truth_visit: Table, moving: Table
) -> dict[str, float | str]:
    """Say what became of variables, transients and moving objects on the difference images.

    Parameters
    ----------
    dia_objects, dia_sources
        The tables DiaObject and DiaSource.
    truth, truth_visit, moving
        The tables TruthObject, TruthVisit and TruthMoving.
    """
    here = _vectors(dia_objects["ra"], dia_objects["dec"])
    tree = cKDTree(here)
    kind = np.asarray(
        truth["variableType"].filled("")
        if hasattr(truth["variableType"], "filled")
        else truth["variableType"]
    ).astype(str)
    figures: dict[str, float | str] = {
        "dia_objects": len(dia_objects),
        "dia_sources": len(dia_sources),
    }
    error = float(np.median(np.asarray(dia_sources["psfFluxErr"], float)))
    varying = np.flatnonzero(np.asarray(truth["isVariable"], bool))
    identity = np.asarray(truth_visit["truthId"])
    change = {
        int(t): float(np.ptp(np.asarray(truth_visit["flux"], float)[identity == t]))
        for t in np.asarray(truth["truthId"])[varying]
    }
    there = _vectors(truth["ra"], truth["dec"])
    distance, _ = tree.query(there)
    detected = distance < _MATCH * _ARCSEC
    for name, chosen in (
        ("periodic", np.isin(kind, ["rrlyrae", "eclipsing", "sinusoidal"])),
        ("irregular", kind == "irregular"),
        ("supernova", kind == "supernova"),
    ):
        own = [i for i in varying if chosen[i]]
        strong = [i for i in own if change[int(truth["truthId"][i])] > 10.0 * error]
        figures[f"{name}_in_truth"] = len(own)
        if strong:
            figures[f"{name}_above_10_sigma_recovered_%"] = 100.0 * float(detected[strong].mean())
    visits = np.asarray(dia_sources["visit"])
    positions = _vectors(dia_sources["ra"], dia_sources["dec"])
    true_dia = np.zeros(len(dia_sources), dtype=bool)
    recovered = []
    for row in moving[np.asarray(moving["inImage"], bool)]:
        own = np.flatnonzero(visits == row["visit"])
        near = own[
            np.sum((positions[own] - _vectors(row["ra"], row["dec"])) ** 2, axis=1)
            < (1.0 * _ARCSEC) ** 2
        ]
        true_dia[near] = True
        recovered.append(near.size > 0)
    figures["moving_detections_recovered_%"] = (
        100.0 * float(np.mean(recovered)) if recovered else np.nan
    )
    near_variable, _ = cKDTree(there[varying]).query(positions)
    true_dia |= near_variable < _MATCH * _ARCSEC
    figures["dia_source_purity_%"] = 100.0 * float(true_dia.mean())
    several = np.asarray(dia_objects["nDiaSources"]) >= 3
    known, _ = cKDTree(there[varying]).query(here[several])
    figures["dia_object_purity_3_or_more_%"] = 100.0 * float((known < _MATCH * _ARCSEC).mean())
    return figures


def repeatability(forced: Table, objects: Table, band: str) -> dict[str, float | str]:
    """Scatter of the flux of stars between exposures, against the errors stated.

    Parameters
    ----------
    forced, objects
        The tables ForcedSource and Object.
    band
        Band of the exposures.
    """
    flagged = (
        np.asarray(forced["psfFlux_flag"])
        | np.asarray(forced["pixelFlags_edge"])
        | np.asarray(forced["pixelFlags_bad"])
        | np.asarray(forced["pixelFlags_saturated"])
    )
    use = forced[~flagged & (np.asarray(forced["band"]).astype(str) == band)]
    ids, index = np.unique(np.asarray(use["objectId"]), return_inverse=True)
    flux, error = np.asarray(use["psfFlux"], float), np.asarray(use["psfFluxErr"], float)
    weight = 1.0 / error**2
    number = np.bincount(index)
    mean = np.bincount(index, weight * flux) / np.bincount(index, weight)
    order = np.searchsorted(np.asarray(objects["objectId"]), ids)
    point = np.asarray(objects["refExtendedness"], float)[order] < 0.5
    alone = np.asarray(objects[f"{band}_blendedness"], float)[order] < 0.05
    enough = (number >= 4) & point & alone
    ratio = mean / np.sqrt(1.0 / np.bincount(index, weight) * number)
    figures: dict[str, float | str] = {}
    # The scatter about a mean of n visits is smaller than the errors by sqrt(1 - 1/n).
    pull = (flux - mean[index]) / (error * np.sqrt(1.0 - 1.0 / np.maximum(number[index], 2)))
    for low, high in ((5, 20), (20, 50), (50, 200), (200, 5000)):
        own = enough[index] & (ratio[index] >= low) & (ratio[index] < high)
        if own.sum() < 20:
            continue
        label = f"{band}_repeat_snr_{low}_to_{high}"
        figures[f"{label}_pull_width"] = _spread(pull[own])
        figures[f"{label}_scatter_mmag"] = 1085.7 * _spread(flux[own] / mean[index][own] - 1.0)
        figures[f"{label}_stars"] = int(np.count_nonzero(enough & (ratio >= low) & (ratio < high)))
    return figures


def _trial_data() -> Path | None:
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("CERRO_TRIAL_DATA", root.parent / "shared" / "data"))
    vista = folder / "images" / "vista_H_xmmlss_8exp"
    return vista if vista.is_dir() else None


def swarp_completeness(objects: Table, coadd: Path) -> dict[str, float | str]:
    """Share of the sources of ProPane's SWarp median coadd that are among the Objects.

    Parameters
    ----------
    objects
        The table Object.
    coadd
        The FITS file.
    """
    import sep

    with fits.open(coadd) as hdus:
        hdu = next(h for h in hdus if getattr(h, "data", None) is not None and h.data.ndim == 2)
        image = np.ascontiguousarray(hdu.data, dtype=np.float32)
        wcs = WCS(hdu.header)
    empty = ~np.isfinite(image) | (image == 0)
    image[empty] = 0.0
    background = sep.Background(image, mask=empty)
    found = sep.extract(
        image - background.back(), 2.0, err=background.globalrms, mask=empty, minarea=5
    )
    flux, error, _ = sep.sum_circle(
        image - background.back(), found["x"], found["y"], 4.0, err=background.globalrms
    )
    ra, dec = wcs.all_pix2world(found["x"], found["y"], 0)
    distance, _ = cKDTree(_vectors(objects["coord_ra"], objects["coord_dec"])).query(
        _vectors(ra, dec)
    )
    near = distance < 1.0 * _ARCSEC
    inside = (ra > np.min(objects["coord_ra"])) & (ra < np.max(objects["coord_ra"]))
    inside &= (dec > np.min(objects["coord_dec"])) & (dec < np.max(objects["coord_dec"]))
    figures: dict[str, float | str] = {}
    for low, high in ((5, 10), (10, 20), (20, np.inf)):
        own = inside & (flux / error >= low) & (flux / error < high)
        if own.sum():
            figures[f"vista_swarp_sources_found_snr_{low}_to_{high}_%"] = 100.0 * float(
                near[own].mean()
            )
    return figures


def simulated(workdir: Path) -> dict[str, float | str]:
    """Simulate and reduce the demo survey in a folder (or use what it holds) and judge the result.

    Parameters
    ----------
    workdir
        Folder for the repository ``sim``.
    """
    from cerro_pipelines.reduce import reduce
    from cerro_pipelines.simulate.survey import simulate

    root = workdir / "sim"
    jobs = os.cpu_count() or 1
    start = time.perf_counter()
    simulate(root, jobs=jobs)
    middle = time.perf_counter()
    result = reduce(root, jobs=jobs)
    end = time.perf_counter()
    figures: dict[str, float | str] = {"simulate_s": middle - start, "reduce_s": end - middle}
    return figures | judge_simulated(root, result.collection)


def judge_simulated(root: Path, collection: str) -> dict[str, float | str]:
    """Judge a reduction of the simulated survey.

    Parameters
    ----------
    root, collection
        Repository and collection of the reduction.
    """
    butler = Butler.from_config(str(root), collections=collection)

    def table(name: str) -> Table:
        refs = butler.query_datasets(name, explain=False)
        return vstack([butler.get(r) for r in refs], metadata_conflicts="silent")

    objects, truth = table("object"), table("truth_object")
    bands = [c.removesuffix("_psfFlux") for c in objects.colnames if c.endswith("_psfFlux")]
    figures = object_quality(objects, truth, bands)
    figures |= variable_quality(
        table("dia_object"), table("dia_source"), truth, table("truth_visit"), table("truth_moving")
    )
    forced = table("forced_source")
    constant = (
        cKDTree(
            _vectors(
                *(
                    np.asarray(truth[c])[np.asarray(truth["isVariable"], bool)]
                    for c in ("ra", "dec")
                )
            )
        ).query(_vectors(objects["coord_ra"], objects["coord_dec"]))[0]
        > 2.0 * _ARCSEC
    )
    for band in bands:
        figures |= (
            repeatability(forced, objects, band)
            if constant.all()
            else repeatability(
                forced[
                    np.isin(
                        np.asarray(forced["objectId"]), np.asarray(objects["objectId"])[constant]
                    )
                ],
                objects,
                band,
            )
        )
    return figures


def vista(workdir: Path) -> dict[str, float | str]:
    """Ingest and reduce the eight VISTA exposures and judge the result; nothing without the data.

    Parameters
    ----------
    workdir
        Folder for the repository ``vista``.
    """
    data = _trial_data()
    if data is None:
        return {"vista": "not measured: the trial data are absent"}
    from cerro_pipelines import instruments
    from cerro_pipelines.ingest import ingest
    from cerro_pipelines.reduce import reduce

    root = workdir / "vista"
    start = time.perf_counter()
    ingest(root, sorted((data / "exposures").glob("*.fits")), instruments.load("vircam"))
    result = reduce(root, jobs=os.cpu_count() or 1)
    figures: dict[str, float | str] = {"vista_ingest_and_reduce_s": time.perf_counter() - start}
    return figures | judge_vista(root, result.collection, data)


def judge_vista(root: Path, collection: str, data: Path) -> dict[str, float | str]:
    """Judge a reduction of the VISTA exposures.

    Parameters
    ----------
    root, collection
        Repository and collection of the reduction.
    data
        Folder of the trial data.
    """
    butler = Butler.from_config(str(root), collections=collection)
    parts = [butler.get(r) for r in butler.query_datasets("object", explain=False)]
    objects = vstack(parts, metadata_conflicts="silent")
    forced = vstack(
        [butler.get(r) for r in butler.query_datasets("forced_source", explain=False)],
        metadata_conflicts="silent",
    )
    figures: dict[str, float | str] = {"vista_objects": len(objects)}
    figures |= {f"vista_{k}": v for k, v in repeatability(forced, objects, "H").items()}
    return figures | swarp_completeness(objects, data / "swarp_med.fits")


def run(workdir: Path) -> dict[str, float | str]:
    """Measure the quality of both reductions.

    Parameters
    ----------
    workdir
        Scratch folder; repositories that it holds already are used.
    """
    figures = simulated(workdir) | vista(workdir)
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
