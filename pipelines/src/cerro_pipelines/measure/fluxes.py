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
    design, total = _design(shape, good, templates, count)
    power = np.asarray(design.multiply(design).sum(axis=1)).ravel()
    coverage = power / np.maximum(total, 1e-30)
    usable = coverage > 0.1
    scale = np.where(usable, 1.0 / np.sqrt(np.maximum(power, 1e-30)), 0.0)
    data = np.where(good, image, 0.0).reshape(-1).astype(np.float64)
    transposed = design.T.tocsr()
    normal = (design @ transposed).tocsr()
    # Scaled to unit diagonal, the normal matrix of lightly overlapping templates is near identity.
    scaled = (sparse.diags(scale) @ normal @ sparse.diags(scale)).tocsr()
    flux = scale * _conjugate_gradient(scaled, scale * (design @ data), iterations, tolerance)
    model = transposed @ flux
    error = np.full(count, np.nan)
    if errors:
        spread = design.copy()
        spread.data *= np.where(good, variance, 0.0).reshape(-1)[spread.indices]
        noise = (spread @ transposed).tocsr()
        x, y = np.empty(count), np.empty(count)
        for t in templates:
            x[t.members], y[t.members] = t.ix, t.iy
        reach = float(min(t.stamps.shape[1] for t in templates))
        error = _errors(normal, noise, x, y, reach, power)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.clip(np.where(design @ model > 0, flux * power / (design @ model), 1.0), 0.0, 1.0)
    return LinearFit(
        np.where(usable, flux, np.nan),
        np.where(usable, error, np.nan),
        coverage,
        1.0 - own,
        model.reshape(shape),
    )


def _design(
    shape: tuple[int, int], good: Bools, templates: Sequence[Templates], count: int
) -> tuple[sparse.csr_matrix, Floats]:
    """The templates as rows over the flattened image, and their power on all pixels."""
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    order: list[np.ndarray] = []
    total = np.zeros(count)
    flat = np.ascontiguousarray(good).reshape(-1)
    for t in templates:
        indices, inside = pixel_indices(shape, t.ix, t.iy, t.stamps.shape[1] // 2)
        use = inside & flat[indices]
        total[t.members] = np.einsum("nij,nij->n", t.stamps, t.stamps, dtype=np.float64)
        columns.append(indices[use])
        values.append(t.stamps[use].astype(np.float64))
        sizes.append(use.sum(axis=(1, 2)))
        order.append(t.members)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    rows = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(columns), starts), shape=(count, flat.size)
    )
    return rows[np.argsort(np.concatenate(order), kind="stable")], total


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
    """Standard errors from the covariance of each source with its closest neighbours."""
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
