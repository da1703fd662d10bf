"""Link detections on difference images into objects, and sum up their light curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from cerro_pipelines.measure.stamps import Floats, Ints
from cerro_pipelines.schema.columns import conform, empty


def unit_vectors(ra: Floats, dec: Floats) -> Floats:
    """Directions of positions in degrees, shape (n, 3)."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def link(ra: Floats, dec: Floats, radius: float) -> Ints:
    """Give detections that lie within a radius of one another, directly or by others, one number.

    Parameters
    ----------
    ra, dec
        Positions in degrees, shape (n,).
    radius
        In arcsec.

    Returns
    -------
    ndarray of int, shape (n,)
        Groups, numbered from 0 in order of declination of their first members.
    """
    count = len(ra)
    if count == 0:
        return np.zeros(0, dtype=np.intp)
    tree = cKDTree(unit_vectors(ra, dec))
    pairs = tree.query_pairs(np.radians(radius / 3600.0), output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, group = connected_components(graph, directed=False)
    order = np.lexsort([ra, dec])
    rank = np.full(group.max() + 1, -1, dtype=np.intp)
    first_seen = dict.fromkeys(group[order].tolist())
    rank[list(first_seen)] = np.arange(len(first_seen))
    numbered: Ints = rank[group]
    return numbered


def dia_object_id(tract: int, group: Ints) -> np.ndarray:
    """Give identifiers of DiaObjects: tract and a running number, never that of an Object.

    Parameters
    ----------
    tract
        Number of the tract.
    group
        Numbers from `link`.
    """
    return (200_000 + tract) * 10_000_000_000 + group.astype(np.int64) + 1


def make_dia_objects(
    sources: Table, objects: Table, tract: int, bands: Sequence[str], radius: float = 1.5
) -> Table:
    """Sum up the DiaSources of each DiaObject.

    Parameters
    ----------
    sources
        DiaSources with ``diaObjectId``.
    objects
        Objects of the tract, of which the nearest is noted.
    tract
        Number of the tract.
    bands
        Bands of the data.
    radius
        Arcsec within which an Object counts as near.
    """
    if len(sources) == 0:
        return empty("DiaObject", bands)
    ids, index = np.unique(np.asarray(sources["diaObjectId"]), return_inverse=True)
    count = len(ids)
    ra, dec = np.asarray(sources["ra"], float), np.asarray(sources["dec"], float)
    error = np.maximum(np.asarray(sources["decErr"], float), 1e-9)
    weight = 1.0 / np.nan_to_num(error, nan=1e-5) ** 2
    total = np.bincount(index, weight, count)
    vectors = unit_vectors(ra, dec)
    mean = np.column_stack([np.bincount(index, weight * v, count) / total for v in vectors.T])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    time = np.asarray(sources["midpointMjdTai"], float)
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, index, time)
    np.maximum.at(last, index, time)
    values: dict[str, Any] = {
        "diaObjectId": ids,
        "ra": np.degrees(np.arctan2(mean[:, 1], mean[:, 0])) % 360.0,
        "dec": np.degrees(np.arcsin(np.clip(mean[:, 2], -1.0, 1.0))),
        "raErr": 1.0 / np.sqrt(total),
        "decErr": 1.0 / np.sqrt(total),
        "tract": tract,
        "nDiaSources": np.bincount(index, minlength=count),
        "firstDiaSourceMjdTai": first,
        "lastDiaSourceMjdTai": last,
        **_nearest(mean, objects, radius),
    }
    for band in bands:
        own = np.asarray(sources["band"]).astype(str) == band
        values.update(_light_curve(sources[own], index[own], count, band))
    return conform("DiaObject", values, bands)


def _nearest(directions: Floats, objects: Table, radius: float) -> dict[str, Any]:
    count = len(directions)
    if len(objects) == 0:
        nothing = np.ma.masked_all(count, np.int64)
        return {"nearbyObj1": nothing, "nearbyObj1Dist": np.full(count, np.nan)}
    there = unit_vectors(np.asarray(objects["coord_ra"]), np.asarray(objects["coord_dec"]))
    distance, which = cKDTree(there).query(directions)
    arcsec = np.degrees(2.0 * np.arcsin(np.clip(distance / 2.0, 0.0, 1.0))) * 3600.0
    near = arcsec <= radius
    ids = np.ma.masked_array(np.asarray(objects["objectId"])[which], mask=~near)
    return {"nearbyObj1": ids, "nearbyObj1Dist": np.where(near, arcsec, np.nan)}


def _light_curve(sources: Table, index: Ints, count: int, band: str) -> dict[str, Any]:
    number = np.bincount(index, minlength=count)
    flux, error = (np.asarray(sources[c], float) for c in ("psfFlux", "psfFluxErr"))
    mean, mean_error, sigma, chi2 = _weighted(flux, error, index, count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, index, flux)
    np.maximum.at(high, index, flux)
    known = np.isfinite(np.asarray(sources["scienceFlux"], float))
    science = _weighted(
        np.asarray(sources["scienceFlux"], float)[known],
        np.asarray(sources["scienceFluxErr"], float)[known],
        index[known],
        count,
    )
    seen = number > 0
    return {
        f"{band}_psfFluxNdata": number.astype(np.int32),
        f"{band}_psfFluxMean": mean,
        f"{band}_psfFluxMeanErr": mean_error,
        f"{band}_psfFluxSigma": sigma,
        f"{band}_psfFluxMin": np.where(seen, low, np.nan),
        f"{band}_psfFluxMax": np.where(seen, high, np.nan),
        f"{band}_psfFluxChi2": chi2,
        f"{band}_scienceFluxMean": science[0],
        f"{band}_scienceFluxMeanErr": science[1],
        f"{band}_scienceFluxSigma": science[2],
    }


def _weighted(
    value: Floats, error: Floats, index: Ints, count: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted mean, its error, sample deviation and chi squared of each group; NaN where empty."""
    weight = 1.0 / np.maximum(error, 1e-30) ** 2
    total = np.bincount(index, weight, count)
    number = np.bincount(index, minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(total > 0, np.bincount(index, weight * value, count) / total, np.nan)
        plain = np.bincount(index, value, count) / number
        square = np.bincount(index, (value - plain[index]) ** 2, count)
        sigma = np.where(number > 1, np.sqrt(square / (number - 1)), np.nan)
        mean_error = np.where(total > 0, 1.0 / np.sqrt(total), np.nan)
    chi2 = np.bincount(index, weight * (value - mean[index]) ** 2, count)
    return mean, mean_error, sigma, np.where(number > 0, chi2, np.nan)
