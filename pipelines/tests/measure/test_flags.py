"""A source is flagged by the pixels under it and by no others."""

from __future__ import annotations

import numpy as np
import pytest

from cerro_pipelines.exposure import Plane
from cerro_pipelines.measure.flags import pixel_flags

NAMES = {
    Plane.BAD: "bad",
    Plane.CR: "cr",
    Plane.EDGE: "edge",
    Plane.NO_DATA: "nodata",
    Plane.SAT: "saturated",
    Plane.CLIPPED: "clipped",
}


@pytest.mark.req("PIPE-5")
@pytest.mark.parametrize("plane", list(NAMES))
def test_a_defect_within_three_pixels_flags_a_source(plane: Plane) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[20, 23] = int(plane)
    flags = pixel_flags(mask, np.array([20.0, 20.0, 28.0]), np.array([20.0, 24.0, 20.0]))
    assert flags[NAMES[plane]].tolist() == [True, False, False]
    others = set(flags) - {NAMES[plane]}
    assert not any(flags[name].any() for name in others)


@pytest.mark.req("PIPE-5")
def test_only_a_core_full_of_charge_is_a_saturated_centre() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[20, 20] = int(Plane.SAT)
    flags = pixel_flags(mask, np.array([20.6, 18.0]), np.array([19.7, 20.0]))
    assert flags["saturated"].tolist() == [True, True]
    assert flags["saturatedCenter"].tolist() == [True, False]


@pytest.mark.req("PIPE-5")
def test_a_source_at_the_rim_lies_at_the_edge() -> None:
    flags = pixel_flags(np.zeros((40, 50), np.uint8), np.array([2.0, 3.0, 47.0]), np.full(3, 20.0))
    assert flags["edge"].tolist() == [True, False, True]
    assert flags["nodata"].tolist() == [True, False, True]


@pytest.mark.req("PIPE-5")
def test_no_sources_have_no_flags() -> None:
    flags = pixel_flags(np.zeros((40, 50), np.uint8), np.zeros(0), np.zeros(0))
    assert {len(v) for v in flags.values()} == {0}
