"""What can be wrong with a cutout (SODA 1.0 §5)."""

from __future__ import annotations

from cerro_services.errors import CerroError


class CutoutError(CerroError, code="usage_fault", status=400):
    """What was asked cannot be understood, or is too much."""


class NoOverlapError(CerroError, code="no_overlap", status=204):
    """A stencil shows nothing of an image."""


class DamagedImageError(CerroError, code="damaged_image", status=500):
    """The file of an image is gone or cannot be read."""
