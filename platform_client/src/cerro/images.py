"""Pixels: `cutouts` gives the stamps of all rows of a table at once."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cerro.catalogue import query
from cerro.config import Connection, connection
from cerro.errors import CerroError, NotFoundError, QueryError
from cerro.session import call

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from astropy.table import Table

BULK = "api/cutout/bulk"
_DONE = frozenset({"COMPLETED", "ERROR", "ABORTED"})
_WAIT = 30
"""Seconds that the server holds a question after a job."""
_POSITIONS = (("ra", "dec"), ("coord_ra", "coord_dec"), ("s_ra", "s_dec"))


def cutouts(
    table: Table,
    size: int | str = "10 arcsec",
    bands: str | Iterable[str] = "r",
    *,
    release: str | None = None,
    dataset_type: str | None = None,
) -> npt.NDArray[np.float32]:
    """Cut a square stamp round every row of a table, in every band, in one job.

    Parameters
    ----------
    table
        With the columns ``ra`` and ``dec`` (or ``coord_ra`` and ``coord_dec``) in degrees.
    size
        Side of a stamp: pixels, or an angle such as ``"10 arcsec"``.
    bands
        Bands, such as ``"gri"`` or ``["g", "Ks"]``.
    release, dataset_type
        Only images of these; by default the coadds of all releases.

    Returns
    -------
    ndarray
        Of shape (rows, bands, size, size), in the order of the table and of `bands`, in the units
        of the images; NaN where no image shows the position. Of several images of one band that
        do, one is given.

    Raises
    ------
    cerro.errors.NotFoundError
        If there are no such images.
    cerro.errors.QueryError
        If the server cannot make the stamps; the message is its own.
    cerro.errors.CerroError
        If the platform cannot be reached, or does not accept the token.

    Examples
    --------
    >>> stars = cerro.query("SELECT TOP 100 coord_ra, coord_dec FROM sim.Object")  # doctest: +SKIP
    >>> stamps = cerro.cutouts(stars, size="10 arcsec", bands="gri")  # doctest: +SKIP
    """
    import numpy as np

    where = connection()
    wanted = list(bands)
    ra, dec = _columns(table)
    pixels = size if isinstance(size, int) else _pixels(size, wanted, release, dataset_type)
    made = np.full((len(table), len(wanted), pixels, pixels), np.nan, np.float32)
    if not len(table):
        return made
    told = {"SIZE": str(pixels), "BANDS": ",".join(wanted), "PHASE": "RUN"}
    told |= {} if release is None else {"RELEASE": release}
    told |= {} if dataset_type is None else {"DATASET_TYPE": dataset_type}
    document = _run(where, told, _parquet(ra, dec))
    _fill(made, document, {band: place for place, band in enumerate(wanted)})
    return made


def _columns(table: Table) -> tuple[Any, Any]:
    import numpy as np

    names = {name.lower(): name for name in table.colnames}
    for ra, dec in _POSITIONS:
        if ra in names and dec in names:
            east, north = (np.asarray(table[names[each]], dtype=float) for each in (ra, dec))
            return east, north
    raise CerroError(
        f"The table has the columns {', '.join(table.colnames)}; positions are ra and dec, in "
        "degrees. Rename them: table.rename_columns([…], ['ra', 'dec'])."
    )


def _pixels(size: str, bands: list[str], release: str | None, dataset_type: str | None) -> int:
    """Give the pixels of an angle, by the scale that the images have."""
    from astropy.coordinates import Angle

    try:
        arcsec = float(Angle(size).arcsec)
    except ValueError as error:
        raise CerroError(f"size={size!r}: pixels, or an angle such as '10 arcsec'.") from error
    conditions = [f"lsst_band IN ({', '.join(map(_quoted, bands))})", "s_pixel_scale > 0"]
    if release is not None:
        conditions.append(f"obs_collection = {_quoted(release)}")
    if dataset_type is not None:
        conditions.append(f"dataproduct_subtype = {_quoted(dataset_type)}")
    found = query(
        "SELECT MIN(s_pixel_scale) AS scale FROM ivoa.ObsCore "  # noqa: S608
        f"WHERE {' AND '.join(conditions)}"
    )
    scale = found["scale"][0]
    if not scale:
        raise NotFoundError(
            f"There are no images in {', '.join(bands)} that you may see. Look into ivoa.ObsCore."
        )
    return max(1, round(arcsec / float(scale)))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _parquet(ra: Any, dec: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"ra": ra, "dec": dec}), buffer)
    return buffer.getvalue()


def _run(where: Connection, told: dict[str, str], positions: bytes) -> bytes:
    """Run a job to its end and give its result; the job is deleted, also if it is given up."""
    told = {**told, "UPLOAD": "positions,param:positions"}
    files = {"positions": ("positions.parquet", positions)}
    job = BULK + "/" + call(where, "POST", BULK, data=told, files=files).url.rsplit("/", 1)[1]
    try:
        phase = ""
        while phase not in _DONE:
            wait = f"?WAIT={_WAIT}&PHASE={phase}" if phase else ""
            call(where, "GET", f"{job}{wait}")
            phase = call(where, "GET", f"{job}/phase").text.strip()
        if phase != "COMPLETED":
            raise QueryError(call(where, "GET", f"{job}/error").text.strip())
        return call(where, "GET", f"{job}/results/result").content
    finally:
        call(where, "DELETE", job)


def _fill(made: Any, document: bytes, places: dict[str, int]) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    side = made.shape[-1]
    for batch in pq.ParquetFile(io.BytesIO(document)).iter_batches():
        pixels = np.asarray(batch["pixels"].flatten()).reshape(-1, side, side)
        band = np.array([places[each] for each in batch["band"].to_pylist()], dtype=int)
        made[batch["row"].to_numpy(), band] = pixels
