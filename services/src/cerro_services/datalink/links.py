"""The links of an image (DataLink 1.1 §3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cerro_services.files import FileSigner
from cerro_services.images import Image
from cerro_services.release.obscore.rows import FORMAT, LINKS

_MOST_PROGENITORS = 500


@dataclass(frozen=True)
class Link:
    """A row of the table of links.

    Parameters
    ----------
    id, access_url, service_def, error_message, description, semantics, content_type, \
content_length, content_qualifier, link_auth, link_authorized
        As the standard has them; None where there is no value.
    """

    id: str
    access_url: str | None = None
    service_def: str | None = None
    error_message: str | None = None
    description: str | None = None
    semantics: str | None = None
    content_type: str | None = None
    content_length: int | None = None
    content_qualifier: str | None = None
    link_auth: str | None = None
    link_authorized: bool | None = None


SERVICES = {
    "cutout-sync": ("Image", "Part of the image"),
    "cutout-sync-maskedimage": ("MaskedImage", "Part of the image with its mask and variance"),
    "cutout-sync-exposure": ("Exposure", "Part of the image with everything that the file has"),
}
"""Descriptors by name, as the Rubin Science Platform names them: CUTOUTDETAIL and description."""


def missing(identity: str) -> Link:
    """Give the row of an identifier that there is not, or that the caller may not see."""
    said = f"NotFoundFault: there is no image {identity[:500]} that you may see"
    return Link(identity, error_message=said, semantics="#this", description="No such image")


def links(image: Image, signer: FileSigner, base: str) -> Iterator[Link]:
    """Give the links of an image.

    Parameters
    ----------
    image
        The image.
    signer
        Signs the address of its file.
    base
        The platform's address.
    """
    title = image.row.get("obs_title") or image.id
    address = signer.of(image.release, image.version, image.place)
    size = image.path.stat().st_size if image.path.is_file() else None
    if size is None:
        said = "Error: the file is not there; the operator should check the release"
        yield Link(image.id, error_message=said, semantics="#this", description=f"File of {title}")
        return
    yield Link(
        image.id,
        address,
        description=f"File of {title}",
        semantics="#this",
        content_type="application/fits",
        content_length=size,
        content_qualifier="image",
        link_auth="false",
        link_authorized=True,
    )
    yield Link(
        image.id,
        f"{base}/api/cutout/preview?ID={quote(image.id, safe='')}",
        description=f"Preview of {title}",
        semantics="#preview",
        content_type="image/jpeg",
        content_qualifier="image",
        link_auth="optional",
        link_authorized=True,
    )
    for name, (_, description) in SERVICES.items():
        yield Link(
            image.id,
            service_def=name,
            description=description,
            semantics="#cutout",
            content_type="application/fits",
            link_auth="optional",
            link_authorized=True,
        )
    for did in progenitors(image):
        yield Link(
            image.id,
            f"{base}{LINKS}?ID={quote(did, safe='')}",
            description="An image that it was made from",
            semantics="#progenitor",
            content_type=FORMAT,
            link_auth="optional",
            link_authorized=True,
        )


def progenitors(image: Image) -> list[str]:
    """Give the identifiers of the images that an image was made from, as its header says.

    The Butler's formatters write the UUIDs of a task's inputs (``LSST BUTLER INPUT n ID``).
    """
    from astropy.io import fits

    from cerro_services.release.obscore.rows import publisher_did

    if image.row.get("_dataset_id") is None:
        return []
    try:
        header: Any = fits.getheader(image.path, 0)
    except (OSError, ValueError, IndexError):
        return []
    count = header.get("LSST BUTLER N_INPUTS") or 0
    found = (
        header.get(f"LSST BUTLER INPUT {i} ID") for i in range(min(int(count), _MOST_PROGENITORS))
    )
    return [publisher_did(image.release, str(each)) for each in found if each]
