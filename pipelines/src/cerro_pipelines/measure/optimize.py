"""Bounded, robust least squares for few parameters and many data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cerro_pipelines.measure.stamps import Floats


def fit_parameters(
    deviation: Callable[[Floats], Floats],
    start: Floats,
    lower: Floats,
    upper: Floats,
    *,
    robust: float | None = None,
    rounds: int = 25,
) -> Floats:
    """Minimize the sum of squared deviations by Levenberg and Marquardt's method.

    Parameters
    ----------
    deviation
        Gives deviations in standard errors, shape (n,), for parameters, shape (p,).
    start, lower, upper
        First guess and bounds, shape (p,).
    robust
        Deviations beyond this many standard errors count less, as the square root of what they
        would (soft L1); all count fully if omitted.
    rounds
        Steps at most.

    Returns
    -------
    ndarray, shape (p,)

    Notes
    -----
    With a handful of parameters the normal equations are well enough conditioned, and building them
    is far cheaper than the singular values of all the data that `scipy.optimize` would compute.
    """

    def weights(values: Floats) -> Floats:
        if robust is None:
            return np.ones_like(values)
        weight: Floats = 1.0 / np.sqrt(1.0 + (values / robust) ** 2)
        return weight

    def cost(values: Floats) -> float:
        if robust is None:
            return float(values @ values)
        return float(np.sum(2.0 * robust**2 * (np.sqrt(1.0 + (values / robust) ** 2) - 1.0)))

    best = np.clip(np.asarray(start, np.float64), lower, upper)
    values = deviation(best)
    level, damping = cost(values), 1e-3
    for _ in range(rounds):
        jacobian = np.empty((values.size, best.size))
        for k in range(best.size):
            step = 1e-5 * max(abs(best[k]), 1e-2)
            if best[k] + step > upper[k]:
                step = -step
            moved = best.copy()
            moved[k] += step
            jacobian[:, k] = (deviation(moved) - values) / step
        weight = weights(values)
        normal = jacobian.T @ (jacobian * weight[:, None])
        gradient = jacobian.T @ (weight * values)
        scale = np.diag(normal) + 1e-12 * np.trace(normal) + 1e-300
        improved = False
        while damping < 1e8:
            change = np.linalg.solve(normal + damping * np.diag(scale), -gradient)
            trial = np.clip(best + change, lower, upper)
            trial_values = deviation(trial)
            trial_level = cost(trial_values)
            if trial_level < level:
                improved = True
                break
            damping *= 10.0
        if not improved:
            break
        gain = (level - trial_level) / max(level, 1e-300)
        best, values, level = trial, trial_values, trial_level
        damping = max(damping * 0.1, 1e-9)
        if gain < 1e-6:
            break
    return best
