"""How a repository writes images: which planes are compressed, and what that costs.

Noise-limited pixels are stored quantized at 1/16 of the noise (Rice with subtractive dither), which
makes them a quarter of the size and adds 0.02 % to the noise (Pence et al. 2010, section 3); raw
images and masks are stored without loss.
"""

from __future__ import annotations

from lsst.daf.butler import Config

from . import datasets

__all__ = ["butler_config"]

_GENERIC = "lsst.images.formatters.GenericFormatter"
_QUANTIZED = {
    "algorithm": "RICE_1",
    "tile_shape": [64, 512],
    "quantization": {"dither": "SUBTRACTIVE_DITHER_2", "level": 16.0},
}
_LOSSLESS = {"algorithm": "GZIP_1", "tile_shape": [64, 512]}
_BITS = {"algorithm": "RICE_1", "tile_shape": [64, 512]}
# A step of 1 adu without dither keeps the whole numbers of a simulated raw image exactly.
_WHOLE_NUMBERS = {
    "algorithm": "RICE_1",
    "tile_shape": [64, 512],
    "quantization": {"dither": "NO_DITHER", "level": -1.0, "seed": 1},
}
_WRITE_RECIPES = {
    _GENERIC: {
        "default": {"image": _LOSSLESS},
        "measured": {"image": _QUANTIZED, "variance": _QUANTIZED, "mask": _BITS},
        "whole_numbers": {"image": _WHOLE_NUMBERS},
    }
}


def butler_config() -> Config:
    """Give the configuration that a new repository is made with."""
    config = Config()
    config["datastore", "formatters", "write_recipes"] = _WRITE_RECIPES
    for dataset in datasets.ALL:
        if dataset.storage_class == "MaskedImageV2":
            config["datastore", "formatters", dataset.name] = {
                "formatter": _GENERIC,
                "parameters": {"recipe": "measured"},
            }
    config["datastore", "formatters", "instrument<SimCam>", datasets.RAW.name] = {
        "formatter": _GENERIC,
        "parameters": {"recipe": "whole_numbers"},
    }
    return config
