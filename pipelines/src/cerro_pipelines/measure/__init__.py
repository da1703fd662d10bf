"""Measurement on pixels: background, detection, PSF, fluxes, shapes.

Everything here works on plain numpy arrays in pixel coordinates (the centre of the first pixel is
``(0, 0)``, ``x`` runs along the second axis), knows no Butler and no sky.
"""
