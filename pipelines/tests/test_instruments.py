"""Descriptions of instruments are read strictly, and errors name the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_pipelines import instruments
from cerro_pipelines.instruments import InstrumentError


@pytest.mark.req("PIPE-9")
def test_the_instruments_that_come_with_cerro_are_complete() -> None:
    assert instruments.known() == ["simcam", "vircam"]
    camera = instruments.load("VIRCAM")
    assert len(camera.detectors) == 16
    assert camera.filters["H"].band == "H"


@pytest.mark.req("PIPE-3")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: MyCam\npixel_scale: -1\n", "pixel_scale"),
        ("name: MyCam\npixelscale: 1\n", "pixelscale"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_by_field(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "mycam.yaml"
    complete = "detectors: [{id: 0, name: A}]\nfilters: {R: {band: r}}\n"
    path.write_text(text if "[" in text else text + complete)
    with pytest.raises(InstrumentError, match=reason):
        instruments.load(path)


@pytest.mark.req("PIPE-3")
def test_an_unknown_instrument_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InstrumentError, match="one of simcam, vircam"):
        instruments.load("hubble")
