"""Fluxes of many overlapping sources at once, by linear least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from cerro_pipelines.measure.stamps import Bools, Floats, Ints, pixel_indices

_NEIGHBOURS = 6  # overlapping neighbours that enter the error of a source


@dataclass(frozen=True)
class Templates:
    """Unit-flux images of some sources, on stamps of one size.

    Attributes
    ----------
    members
        Indices of the sources, shape (m,).
    ix, iy
        Central pixels, shape (m,).
    stamps
        Images, shape (m, s, s) with odd s.
    """

    members: Ints
    ix: Ints
    iy: Ints
    stamps: Floats


@dataclass(frozen=True)
class LinearFit:
    """Fluxes fitted to an image together.

    Attributes
    ----------
    flux
        Amplitudes of the templates, shape (n,); NaN where no good pixel tells.
    error
        Their standard errors, with the covariance of close neighbours, shape (n,).
    coverage
        Share of each template's power that fell on good pixels, shape (n,).
    blendedness
        Share of the light under each template that belongs to others, shape (n,).
    model
        Image of all templates together.
    """

    flux: Floats
    error: Floats
    coverage: Floats
    blendedness: Floats
    model: Floats


def fit_fluxes(
    image: Floats,
    variance: Floats,
    good: Bools,
    templates: Sequence[Templates],
    *,
    iterations: int = 40,
    tolerance: float = 1e-5,
    errors: bool = True,
) -> LinearFit:
    """Fit the amplitudes of all templates to an image simultaneously.

    Parameters
    ----------
    image, variance
        Background-subtracted image and the variance of each pixel.
    good
        Pixels that count.
    templates
        The sources, each a member of one group.
    iterations, tolerance
        Limits of the conjugate-gradient solution.
    errors
        Whether to compute the errors; without, they are NaN.

    Returns
    -------
    LinearFit

    Notes
    -----
    All good pixels weigh the same: weights taken from the variance would follow the noise and the
    sources themselves and bias bright fluxes. The errors are those of this estimator under the
    variance given: with A the templates, N = A'A, cov = N^-1 A'VA N^-1, restricted for each source
    to itself and its closest neighbours.
    """
    count = sum(len(t.members) for t in templates)
    shape = (image.shape[0], image.shape[1])
    if count == 0:
        none = np.zeros(0)
        return LinearFit(none, none, none, none, np.zeros(shape))
    design, order, pixels = _design(shape, good, templates)
    # Work in the order of the rows; `order` brings results back to that of the sources.
    total = np.empty(count)
    for t in templates:
        total[t.members] = np.einsum("nij,nij->n", t.stamps, t.stamps, dtype=np.float64)
    transposed = design.T.tocsr()
    normal = (design @ transposed).tocsr().astype(np.float64)
    power = normal.diagonal()
    coverage = power / np.maximum(total[order], 1e-30)
    usable = coverage > 0.1
    scale = np.where(usable, 1.0 / np.sqrt(np.maximum(power, 1e-30)), 0.0)
    data = image.reshape(-1)[pixels].astype(np.float64)
    # Scaled to unit diagonal, the normal matrix of lightly overlapping templates is near identity.
    scaled = (sparse.diags(scale) @ normal @ sparse.diags(scale)).tocsr()
    flux = scale * _conjugate_gradient(scaled, scale * (design @ data), iterations, tolerance)
    whole = np.zeros(good.size, np.float32)
    whole[pixels] = transposed @ flux
    error = np.full(count, np.nan)
    if errors:
        spread = design.copy()
        spread.data *= variance.reshape(-1)[pixels][spread.indices]
        noise = (spread @ transposed).tocsr()
        x, y = np.empty(count), np.empty(count)
        for t in templates:
            x[t.members], y[t.members] = t.ix, t.iy
        reach = float(min(t.stamps.shape[1] for t in templates))
        error = _errors(normal, noise, x[order], y[order], reach, power)
    with np.errstate(divide="ignore", invalid="ignore"):
        under = normal @ flux
        own = np.clip(np.where(under > 0, flux * power / under, 1.0), 0.0, 1.0)
    back = np.empty(count, dtype=np.intp)
    back[order] = np.arange(count)
    return LinearFit(
        np.where(usable, flux, np.nan)[back],
        np.where(usable, error, np.nan)[back],
        coverage[back],
        (1.0 - own)[back],
        whole.reshape(shape),
    )


def _design(
    shape: tuple[int, int], good: Bools, templates: Sequence[Templates]
) -> tuple[sparse.csr_matrix, Ints, Ints]:
    """Give the templates as rows over the pixels that any uses, the sources, and the pixels."""
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    order: list[np.ndarray] = []
    flat = np.ascontiguousarray(good).reshape(-1)
    used = np.zeros(flat.size, dtype=bool)
    for t in templates:
        indices, inside = pixel_indices(shape, t.ix, t.iy, t.stamps.shape[1] // 2)
        use = inside & flat[indices]
        whole = use.all(axis=(1, 2))
        # Most stamps are whole: no pixels to pick out, which would cost more than all else here.
        for rows, picked in ((whole, None), (~whole, use[~whole])):
            if not rows.any():
                continue
            everything = bool(rows.all())
            place = indices if everything else indices[rows]
            stamps = t.stamps if everything else t.stamps[rows]
            columns.append(place.reshape(-1) if picked is None else place[picked])
            values.append(stamps.reshape(-1) if picked is None else stamps[picked])
            size = np.full(len(place), place[0].size) if picked is None else picked.sum(axis=(1, 2))
            sizes.append(size)
            order.append(t.members[rows])
            used[columns[-1]] = True
    # Only pixels in use become columns: an image has millions, most of them sky.
    pixels = np.flatnonzero(used)
    place_of = np.empty(flat.size, np.int32)
    place_of[pixels] = np.arange(pixels.size, dtype=np.int32)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int32)
    design = sparse.csr_matrix(
        (
            np.concatenate(values, dtype=np.float32),
            place_of[np.concatenate(columns)],
            starts,
        ),
        shape=(len(starts) - 1, pixels.size),
    )
    return design, np.concatenate(order), pixels


def _conjugate_gradient(
    normal: sparse.csr_matrix, rhs: Floats, iterations: int, tolerance: float
) -> Floats:
    solution = rhs.copy()
    residual = rhs - normal @ solution
    direction = residual.copy()
    norm = float(residual @ residual)
    stop = tolerance**2 * float(rhs @ rhs)
    for _ in range(iterations):
        if norm <= stop:
            break
        step = normal @ direction
        alpha = norm / float(direction @ step)
        solution += alpha * direction
        residual -= alpha * step
        norm, last = float(residual @ residual), norm
        direction = residual + (norm / last) * direction
    return solution


def _errors(
    normal: sparse.csr_matrix,
    noise: sparse.csr_matrix,
    x: Floats,
    y: Floats,
    reach: float,
    power: Floats,
) -> Floats:
    """Give standard errors from the covariance of each source with its closest neighbours."""
    count = len(x)
    positions = np.column_stack([x, y])
    k = min(_NEIGHBOURS + 1, count)
    _, near = cKDTree(positions).query(positions, k=k, distance_upper_bound=reach)
    near = near.reshape(count, k)
    # The nearest point may be a coincident neighbour: the source itself must come first.
    near = np.where(near == np.arange(count)[:, None], count, near)
    near = np.concatenate([np.arange(count)[:, None], np.sort(near, axis=1)[:, : k - 1]], axis=1)
    valid = near < count
    safe = np.where(valid, near, 0)
    left = np.repeat(safe, k, axis=1).reshape(-1)
    right = np.tile(safe, (1, k)).reshape(-1)
    pair = (valid[:, :, None] & valid[:, None, :]).astype(np.float64)
    normals = np.asarray(normal[left, right]).reshape(count, k, k) * pair
    noises = np.asarray(noise[left, right]).reshape(count, k, k) * pair
    ridge = np.where(valid, 0.0, 1.0) + 1e-9 * np.maximum(power[safe], 1e-30) + 1e-30
    normals += ridge[:, :, None] * np.eye(k)
    first = np.zeros((count, k, 1))
    first[:, 0, 0] = 1.0
    row = np.linalg.solve(normals, first)[:, :, 0]
    covariance: Floats = np.einsum("ni,nij,nj->n", row, noises, row)
    return np.sqrt(np.maximum(covariance, 0.0))
