"""How fast uploads are read: each format, small and large, and what a large one takes of memory.

In one process, without HTTP; `bench/tap.py` and the comparison with a peer measure whole requests.
"""

from __future__ import annotations

import io
import statistics
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from astropy.table import Table
from pyarrow import csv, parquet

from cerro_services.uploads import Upload, UploadLimits, read

REPEATS = 30
LARGE = 1_000_000


def run(workdir: Path) -> dict[str, float | str]:
    """Read tables of positions."""
    found: dict[str, float | str] = {}
    for count in (1_000, 10_000):
        for form, content in _written(_positions(count)).items():
            path = workdir / f"{form}.{count}"
            path.write_bytes(content)
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                read(Upload("t", path, filename=form), UploadLimits())
                times.append(1e3 * (time.perf_counter() - began))
            found[f"{form}, {count} rows [ms]"] = round(statistics.median(times), 2)
    path = workdir / "large.csv"
    csv.write_csv(_positions(LARGE), path)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    read(Upload("t", path, filename="t.csv"), UploadLimits())
    found[f"CSV, {LARGE} rows to disk [s]"] = round(time.perf_counter() - began, 2)
    grown = (psutil.Process().memory_info().rss - before) / 1e6
    found["memory that this kept [MB]"] = round(grown)
    return found


def _positions(count: int) -> pa.Table:
    random = np.random.default_rng(3)
    return pa.table(
        {
            "id": pa.array(np.arange(count), pa.int32()),
            "ra": random.uniform(0, 360, count),
            "dec": random.uniform(-90, 90, count),
        }
    )


def _written(table: pa.Table) -> dict[str, bytes]:
    """Write a table in each format."""
    made: dict[str, bytes] = {}
    stars = Table(table.to_pydict())
    for serialization in ("tabledata", "binary", "binary2"):
        file = io.BytesIO()
        stars.write(file, format="votable", tabledata_format=serialization)
        made[f"VOTable {serialization}"] = file.getvalue()
    file = io.BytesIO()
    stars.write(file, format="fits")
    made["FITS"] = file.getvalue()
    file = io.BytesIO()
    parquet.write_table(table, file)
    made["Parquet"] = file.getvalue()
    file = io.BytesIO()
    csv.write_csv(table, file)
    made["t.csv"] = file.getvalue()
    return made
