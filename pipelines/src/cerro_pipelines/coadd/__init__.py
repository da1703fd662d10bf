"""Coadds: visit images resampled onto the pixels of a patch and averaged."""
