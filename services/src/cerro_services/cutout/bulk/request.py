"""What a request for stamps asks."""

from __future__ import annotations

from dataclasses import dataclass

from cerro_services.cutout.errors import CutoutError
from cerro_services.parameters import Parameters

_SMALLEST, _GREATEST = 1, 1024
_DEFAULT = 51


@dataclass(frozen=True)
class Wanted:
    """What a request for stamps asks.

    Parameters
    ----------
    query
        ADQL that gives the positions.
    size
        Side of a stamp in pixels.
    bands
        Only these; empty for all.
    dataset_type
        Of the images; None for coadds.
    release
        Only of this one; None for all.
    """

    query: str
    size: int
    bands: tuple[str, ...]
    dataset_type: str | None
    release: str | None

    @classmethod
    def read(cls, parameters: Parameters) -> Wanted:
        """Read the parameters QUERY or UPLOAD, SIZE, BANDS, DATASET_TYPE and RELEASE.

        Raises
        ------
        CutoutError
            One is missing or wrong.
        """
        query = parameters.get("QUERY")
        uploads = [text for text in parameters.values.get("UPLOAD", ()) if text]
        if query is None and len(uploads) == 1:
            query = f"SELECT * FROM TAP_UPLOAD.{uploads[0].partition(',')[0].strip()}"  # noqa: S608
        if query is None:
            raise CutoutError(
                "Say which positions: UPLOAD=positions,param:FILE with a table that has the "
                "columns ra and dec, or QUERY with ADQL that gives them."
            )
        size = parameters.integer("SIZE")
        size = _DEFAULT if size is None else size
        if not _SMALLEST <= size <= _GREATEST:
            raise CutoutError(f"SIZE={size}: pixels of a side, from {_SMALLEST} to {_GREATEST}.")
        bands = [b for text in parameters.values.get("BANDS", ()) for b in text.split(",")]
        return cls(
            query,
            size,
            tuple(dict.fromkeys(b.strip() for b in bands if b.strip())),
            parameters.get("DATASET_TYPE"),
            parameters.get("RELEASE"),
        )
