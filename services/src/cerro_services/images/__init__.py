"""The images of all releases, found by identifier or place."""

from cerro_services.images.index import Image, Images, ImageUnavailableError, table_of

__all__ = ["Image", "ImageUnavailableError", "Images", "table_of"]
