"""Moments, apertures and Kron ellipses of profiles whose integrals are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.tests.support import gaussian_sources, moffat_stars, moffat_within

from cerro_pipelines.measure.apertures import (
    adaptive_moments,
    aperture_flux,
    kron_flux,
    kron_radius,
)

HALF = 24
SIDE = (2 * HALF + 1, 2 * HALF + 1)


def offset(value: float) -> np.ndarray:
    return np.array([HALF + value])


@pytest.mark.req("PIPE-5")
@settings(max_examples=25, deadline=None)
@given(
    a=st.floats(2.0, 5.0),
    ratio=st.floats(0.6, 1.0),
    angle=st.floats(0.0, np.pi),
    dx=st.floats(-0.5, 0.499),
    dy=st.floats(-0.5, 0.499),
)
def test_moments_of_an_elliptical_gaussian_are_its_own(
    a: float, ratio: float, angle: float, dx: float, dy: float
) -> None:
    a2, b2 = a**2, (a * ratio) ** 2
    c, s = np.cos(angle), np.sin(angle)
    xx, yy, xy = a2 * c**2 + b2 * s**2, a2 * s**2 + b2 * c**2, (a2 - b2) * c * s
    stamp = gaussian_sources(SIDE, offset(dx), offset(dy), np.array([100.0]), xx, yy, xy)[None]
    moments, failed = adaptive_moments(stamp, np.array([dx]), np.array([dy]), 2.0, iterations=40)
    assert not failed[0]
    np.testing.assert_allclose(moments[0], [xx, yy, xy], rtol=0, atol=0.02 * a2)


@pytest.mark.req("PIPE-5")
def test_moments_of_noise_alone_are_said_to_have_failed() -> None:
    stamp = -np.ones((1, *SIDE))
    _, failed = adaptive_moments(stamp, np.zeros(1), np.zeros(1), 2.0)
    assert failed[0]


@pytest.mark.req("PIPE-5")
@settings(max_examples=25, deadline=None)
@given(
    radius=st.floats(4.0, 17.0), dx=st.floats(-0.5, 0.499), dy=st.floats(-0.5, 0.499)
)  # fmt: skip
def test_an_aperture_holds_the_light_within_its_circle(radius: float, dx: float, dy: float) -> None:
    stamp = moffat_stars(SIDE, offset(dx), offset(dy), np.array([1000.0]), 4.0)[None]
    flux, error = aperture_flux(
        stamp, np.full_like(stamp, 4.0), np.array([dx]), np.array([dy]), radius
    )
    assert flux[0] == pytest.approx(1000.0 * moffat_within(radius, 4.0), rel=0.006)
    assert error[0] == pytest.approx(2.0 * np.sqrt(np.pi) * radius, rel=0.05)


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize(("xx", "yy", "xy"), [(4.0, 4.0, 0.0), (12.0, 5.0, 0.0), (9.0, 9.0, 4.0)])
def test_a_kron_ellipse_holds_a_gaussian_nearly_whole(xx: float, yy: float, xy: float) -> None:
    stamp = gaussian_sources(SIDE, offset(0.2), offset(-0.3), np.array([500.0]), xx, yy, xy)[None]
    dx, dy = np.array([0.2]), np.array([-0.3])
    moments = np.array([[xx, yy, xy]])
    radius, guessed = kron_radius(stamp, dx, dy, moments)
    # The mean radius of a Gaussian is sigma sqrt(pi / 2), and the factor 2.5.
    sigma = (xx * yy - xy**2) ** 0.25
    assert radius[0] == pytest.approx(2.5 * np.sqrt(np.pi / 2) * sigma, rel=0.02)
    kron = kron_flux(stamp, np.ones_like(stamp), dx, dy, moments, radius, guessed)
    assert kron.flux[0] == pytest.approx(500.0 * (1 - np.exp(-(2.5**2) * np.pi / 4)), rel=0.01)
    assert kron.error[0] == pytest.approx(np.sqrt(np.pi) * radius[0], rel=0.05)
    assert not kron.bad[0]


@pytest.mark.req("PIPE-5")
def test_a_kron_ellipse_that_leaves_its_stamp_is_flagged() -> None:
    stamp = gaussian_sources(SIDE, offset(0), offset(0), np.array([500.0]), 100.0, 100.0, 0.0)[None]
    zero, moments = np.zeros(1), np.array([[100.0, 100.0, 0.0]])
    radius, guessed = kron_radius(stamp, zero, zero, moments)
    assert kron_flux(stamp, stamp, zero, zero, moments, radius, guessed).bad[0]
