"""Images: cutouts against astropy's way, stamps of a whole table, SIA over many images, HiPS tiles.

Three coadds of 4,000 x 4,000 pixels with three RICE planes each are published. The plain way opens
the file with astropy, reads the whole plane, slices it by `Cutout2D` and writes FITS.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bench._serving import ENDED, median_ms, served, working

SIDE = 4000
REPEATS = 30
STAMPS = 30_000
MANY = 100_000
TILES, CONNECTIONS = 2000, 8
_RA, _DEC, _SCALE = 60.0, -30.0, 0.2 / 3600
_CERRO = [sys.executable, "-m", "cerro.cli.main", "release"]
_SCHEMA = (
    "name: big\n'@id': '#big'\ntables:\n- name: T\n  '@id': '#T'\n  columns:\n"
    "  - {name: a, '@id': '#T.a', datatype: int}\n"
)
_PART = {"ID": "ivo://cerro/big?repo=big&id=coadd_r.fits", "CIRCLE": f"60.01 -30.01 {25 / 3600}"}


def run(workdir: Path) -> dict[str, float | str]:
    """Publish, serve and ask."""
    files = workdir / "files"
    files.mkdir()
    for seed, band in enumerate("gri"):
        _write(files / f"coadd_{band}.fits", band, seed)
    store = _published(workdir, files)
    with served(workdir, store) as url, working(workdir, store):
        base = url.removesuffix("/api/tap/sync")
        figures = _cutouts(base, files / "coadd_r.fits")
        figures |= _bulk(base)
        figures |= _tiles(base)
        figures |= _sia(base)
    return figures


def _write(path: Path, band: str, seed: int) -> None:
    from astropy.io import fits
    from astropy.wcs import WCS

    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [_RA, _DEC]
    wcs.wcs.crpix = [SIDE / 2 + 0.5] * 2
    wcs.wcs.cdelt = [-_SCALE, _SCALE]
    sky = np.random.default_rng(seed).normal(0, 10, (SIDE, SIDE)).astype("f4")
    hdus = fits.HDUList([fits.PrimaryHDU()])
    hdus[0].header["FILTER"] = band
    for name, plane in (("IMAGE", sky), ("MASK", (sky > 5).astype("i4")), ("VARIANCE", abs(sky))):
        hdus.append(
            fits.CompImageHDU(
                plane, wcs.to_header(), name=name, compression_type="RICE_1", tile_shape=(100, 100)
            )
        )
    hdus.writeto(path)


def _published(workdir: Path, files: Path) -> Path:
    """Publish the coadds, and a release with an index of many images that lie nowhere."""
    store = workdir / "releases"
    (workdir / "big.yaml").write_text(_SCHEMA)
    (workdir / "many.yaml").write_text(_SCHEMA.replace("big", "many"))
    for command in (
        ("create", "big", "--schema", "big.yaml", "--title", "Big"),
        ("obscore", "big", "--images", str(files), "--dataset-type", "coadd"),
        ("hips", "big", "--dataset-type", "coadd", "--band", "r"),
        ("publish", "big", "--allow-empty"),
        ("create", "many", "--schema", "many.yaml", "--title", "Many"),
    ):
        _command(workdir, store, *command)
    _index(store / "many/draft/obscore/visit_image.parquet")
    _command(workdir, store, "publish", "many", "--allow-empty")
    return store


def _command(workdir: Path, store: Path, *command: str) -> None:
    told = [*_CERRO, *command, "--store", str(store)]
    subprocess.run(told, check=True, cwd=workdir, capture_output=True)


def _index(path: Path) -> None:
    from cerro_services.release.obscore import SCHEMA

    random = np.random.default_rng(3)
    ra, dec = random.uniform(0, 360, MANY), np.degrees(np.arcsin(random.uniform(-1, 1, MANY)))
    rows = []
    for i, (x, y) in enumerate(zip(ra, dec, strict=True)):
        wide = 0.1 / max(np.cos(np.radians(y)), 0.01)
        low, high = max(y - 0.1, -90.0), min(y + 0.1, 90.0)
        corners = ((x - wide, low), (x + wide, low), (x + wide, high), (x - wide, high))
        region = " ".join(f"{a % 360:.6f} {b:.6f}" for a, b in corners)
        rows.append(
            {
                "obs_publisher_did": f"ivo://cerro/many?repo=many&id={i}",
                "obs_collection": "many",
                "obs_id": str(i),
                "calib_level": 2,
                "s_ra": x,
                "s_dec": y,
                "s_fov": 0.3,
                "s_region": f"POLYGON ICRS {region}",
                "lsst_band": "gri"[i % 3],
                "em_min": 4e-7 + 1e-7 * (i % 3),
                "em_max": 5e-7 + 1e-7 * (i % 3),
                "access_url": "/",
                "_path": "none",
            }
        )
    path.parent.mkdir()
    parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


def _cutouts(base: str, file: Path) -> dict[str, float | str]:
    with httpx.Client(base_url=base, timeout=60) as client:

        def ask(**more: str) -> float:
            def once(_: int) -> None:
                client.post("/api/cutout/sync", data={**_PART, **more}).raise_for_status()

            return median_ms(once, REPEATS)

        figures: dict[str, float | str] = {
            "cutout_50arcsec_fits_ms": ask(),
            "cutout_50arcsec_jpeg_ms": ask(RESPONSEFORMAT="jpeg"),
            "cutout_50arcsec_three_planes_ms": ask(CUTOUTDETAIL="MaskedImage"),
        }
    plain = median_ms(lambda _: _plain(file), REPEATS)
    ratio = plain / float(figures["cutout_50arcsec_fits_ms"])
    return {**figures, "plain_way_ms": plain, "plain_way_over_cutout": ratio}


def _plain(file: Path) -> None:
    import astropy.units as u
    from astropy.coordinates import SkyCoord
    from astropy.io import fits
    from astropy.nddata import Cutout2D
    from astropy.wcs import WCS

    with fits.open(file) as hdus:
        hdu = hdus["IMAGE"]
        centre = SkyCoord(60.01, -30.01, unit="deg")
        cut = Cutout2D(hdu.data, centre, 50 * u.arcsec, wcs=WCS(hdu.header))
        fits.PrimaryHDU(cut.data, cut.wcs.to_header()).writeto(io.BytesIO())


def _bulk(base: str) -> dict[str, float | str]:
    random = np.random.default_rng(4)
    reach = SIDE * _SCALE / 2 * 0.98
    positions = pa.table(
        {
            "ra": _RA + random.uniform(-reach, reach, STAMPS // 3) / np.cos(np.radians(_DEC)),
            "dec": _DEC + random.uniform(-reach, reach, STAMPS // 3),
        }
    )
    sent = io.BytesIO()
    parquet.write_table(positions, sent)
    told = {"UPLOAD": "mine,param:file", "SIZE": "51", "RELEASE": "big", "PHASE": "RUN"}
    began = time.perf_counter()
    with httpx.Client(base_url=base, timeout=600) as client:
        file = {"file": ("mine.parquet", sent.getvalue())}
        job = client.post("/api/cutout/bulk", data=told, files=file).headers["Location"]
        phase = "QUEUED"
        while phase not in ENDED:
            client.get(job, params={"WAIT": 30, "PHASE": phase})
            phase = client.get(f"{job}/phase").text
        taken = time.perf_counter() - began
        result = client.get(f"{job}/results/result").content
        client.delete(job)
    made = parquet.ParquetFile(io.BytesIO(result)).metadata.num_rows
    return {"bulk_stamps": made, "bulk_51px_stamps_a_second": made / taken}


def _tiles(base: str) -> dict[str, float | str]:
    with httpx.Client(base_url=base) as client:
        about = client.get("/api/hips/big/coadd_r/properties").text
    order = int(about.partition("hips_order ")[2].partition("=")[2].split()[0])
    import astropy.units as u
    from cdshealpix.nested import lonlat_to_healpix

    cell = int(lonlat_to_healpix([_RA] * u.deg, [_DEC] * u.deg, order)[0])
    place = f"/api/hips/big/coadd_r/Norder{order}/Dir{cell // 10000 * 10000}/Npix{cell}.png"

    def some(count: int) -> None:
        with httpx.Client(base_url=base) as client:
            for _ in range(count):
                client.get(place).raise_for_status()

    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(some, [TILES // CONNECTIONS] * CONNECTIONS))
    return {"hips_tiles_a_second": TILES / (time.perf_counter() - began)}


def _sia(base: str) -> dict[str, float | str]:
    with httpx.Client(base_url=base, timeout=60) as client:

        def once(i: int) -> None:
            told = {"POS": f"CIRCLE {10 + 5 * i} -20 0.2", "BAND": "4.2e-7 5.5e-7"}
            client.get("/api/sia/many/query", params=told).raise_for_status()

        return {"sia_100k_images_ms": median_ms(once, REPEATS)}
