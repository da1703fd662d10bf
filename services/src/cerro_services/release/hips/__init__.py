"""HiPS of a release's images: ``hips/<survey>/``, made of coadds."""

from cerro_services.release.hips.build import FOLDER, Survey, build, properties

__all__ = ["FOLDER", "Survey", "build", "properties"]
