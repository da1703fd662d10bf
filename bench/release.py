"""How fast, and with how much memory, a table becomes a published release; and how it reads.

Tycho-2 of the trial data (2.5 million rows), or as many made-up stars where that is not at hand.
Each command runs in a process of its own, as people run it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench._serving import ROOT

SCHEMA = ROOT / "docs/examples/tycho2.yaml"
STARS = 2_539_913
CONES = 60


def run(workdir: Path) -> dict[str, float | str]:
    """Publish Tycho-2 and ask it for cones and keys."""
    figures: dict[str, float | str] = {}
    table = stars(workdir, figures)
    store = workdir / "releases"
    create = ("create", "tycho2", "--schema", str(SCHEMA), "--title", "Tycho-2")
    steps = {
        "create": create,
        "ingest": ("ingest", "tycho2", "Tycho2", str(table)),
        "publish": ("publish", "tycho2"),
    }
    peak = total = 0.0
    for name, arguments in steps.items():
        seconds, megabytes = _command(store, arguments)
        figures[f"{name}_s"] = seconds
        total, peak = total + seconds, max(peak, megabytes)
    figures["table_to_published_s"] = total
    figures["peak_memory_MB"] = peak
    figures["draft_schema_s"], _ = _command(
        store, ("schema", "draft", str(table), "--name", "t", "--table", "T", "-o", "t.yaml")
    )
    figures |= _formats(workdir, table)
    figures |= _reading(store)
    return figures


def stars(workdir: Path, figures: dict[str, float | str]) -> Path:
    """Find Tycho-2, or make as many stars in a scratch folder; say which in the figures."""
    data = Path(os.environ.get("CERRO_TRIAL_DATA", ROOT.parent / "shared/data"))
    table = data / "catalogs/tycho2/tycho2.parquet"
    figures["table"] = "Tycho-2" if table.exists() else "made-up stars"
    if table.exists():
        return table
    rng = np.random.default_rng(1)
    magnitudes = ("BTmag", "VTmag", "e_BTmag", "e_VTmag", "pmRA", "pmDE", "e_pmRA", "e_pmDE")
    columns = {
        "tyc": pa.array([f"{i // 500}-{i % 500}-1" for i in range(STARS)]),
        "ra": rng.uniform(0, 360, STARS),
        "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, STARS))),
        "pos_is_mean": rng.random(STARS) < 0.95,
        "pflag": pa.array([""] * STARS),
        "tyc1_flag": pa.array([""] * STARS),
        "n_obs": rng.integers(2, 9, STARS).astype(np.int16),
        "hip": rng.integers(1, 120_000, STARS).astype(np.int32),
        **{
            name: rng.normal(10, 2, STARS).astype(np.float32)
            for name in (*magnitudes, "e_RAmdeg", "e_DEmdeg")
        },
    }
    table = workdir / "stars.parquet"
    pq.write_table(pa.table(columns), table)
    return table


def _command(store: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Run ``cerro release …``; give its seconds and its peak memory in megabytes."""
    program = (
        "import resource, sys\n"
        "from cerro_services.release.cli import release\n"
        "try:\n"
        "    release(sys.argv[1:], prog_name='cerro release')\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "CERRO_RELEASES": str(store)},
        cwd=store.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"cerro release {' '.join(arguments)}: {done.stderr}")
    return seconds, int(done.stdout.split()[-1]) / 1024


def _formats(workdir: Path, table: Path) -> dict[str, float | str]:
    """Measure how fast each format is read and checked, in thousands of rows per second."""
    from astropy.table import Table

    from cerro_services.release.conform import Conformer, match
    from cerro_services.release.readers import open_sources
    from cerro_services.release.schema import read

    model = read(SCHEMA).tables["Tycho2"]
    rows = 100_000
    some = pq.read_table(table, columns=[c.name for c in model.columns]).slice(0, rows)
    astropy_table = Table({c: some[c].to_numpy(zero_copy_only=False) for c in some.column_names})
    numbers = [c for c in ("hip", "n_obs") if c in some.column_names]
    for name in ("tyc", "pflag", "tyc1_flag"):
        astropy_table[name] = astropy_table[name].astype(str)
    for name in numbers:
        astropy_table[name] = np.nan_to_num(astropy_table[name]).astype(int)
    forms: dict[str, Callable[[Path], object]] = {
        "parquet": lambda p: pq.write_table(some, p),
        "csv": lambda p: astropy_table.write(p, format="ascii.csv"),
        "fits": lambda p: astropy_table.write(p, format="fits"),
        "votable_tabledata": lambda p: astropy_table.write(
            p, format="votable", tabledata_format="tabledata"
        ),
        "votable_binary2": lambda p: astropy_table.write(
            p, format="votable", tabledata_format="binary2"
        ),
    }
    figures: dict[str, float | str] = {}
    for name, write in forms.items():
        path = workdir / f"some.{'csv' if name == 'csv' else name}"
        write(path)
        start = time.perf_counter()
        (source,) = open_sources([path])
        count = sum(b.num_rows for b in Conformer(model).batches(match(source, model)))
        figures[f"read_{name}_krows_per_s"] = count / (time.perf_counter() - start) / 1000
        path.unlink()
    return figures


def _reading(store: Path) -> dict[str, float | str]:
    """Ask DuckDB for cones and keys, pruned as the catalogue service does."""
    import duckdb
    from astropy.coordinates import Angle, Latitude, Longitude
    from cdshealpix.nested import cone_search

    from cerro_services.release import ReleaseStore

    release = ReleaseStore(store).open("tycho2")
    catalog = release.tables["Tycho2"].catalog
    figures: dict[str, float | str] = {
        "rows": float(catalog.nrows),
        "stored_MB": catalog.size / 1e6,
        "partitions": float(len(catalog.files)),
    }
    rng = np.random.default_rng(4)
    centres = zip(
        rng.uniform(0, 360, CONES), np.degrees(np.arcsin(rng.uniform(-1, 1, CONES))), strict=True
    )
    positions = [(float(ra), float(dec)) for ra, dec in centres]
    with duckdb.connect() as connection:

        def cone(ra: float, dec: float, radius: float) -> int:
            depth = int(np.clip(np.ceil(np.log2(58.6 / radius)) + 1, 0, 17))
            centre = Longitude(ra, "deg"), Latitude(dec, "deg")
            cells, depths, _ = cone_search(*centre, Angle(radius, "deg"), depth)
            shift = (2 * (29 - depths.astype(np.int64))).astype(np.int64)
            cells = cells.astype(np.int64)
            ranges = np.column_stack([cells << shift, (cells + 1) << shift])
            ranges = ranges[np.argsort(ranges[:, 0])]
            files = ", ".join(f"'{path}'" for path in catalog.files_for(ranges))
            within = " OR ".join(f"_healpix_29 BETWEEN {a} AND {b - 1}" for a, b in ranges)
            haversine = (
                f"pow(sin(radians(dec - ({dec})) / 2), 2) + cos(radians(dec)) * "
                f"cos(radians({dec})) * pow(sin(radians(ra - ({ra})) / 2), 2)"
            )
            query = (
                f"SELECT tyc, ra, dec, BTmag, VTmag FROM read_parquet([{files}]) "  # noqa: S608
                f"WHERE ({within}) AND {haversine} <= pow(sin(radians({radius}) / 2), 2)"
            )
            return int(connection.sql(query).to_arrow_table().num_rows)

        def key(ra: float, dec: float, _radius: float) -> int:  # noqa: ARG001
            name = keys[int(ra)]
            ranges = catalog.locate("tyc", [name])
            assert ranges is not None
            files = ", ".join(f"'{path}'" for path in catalog.files_for(ranges))
            lo, hi = ranges[0]
            query = (
                f"SELECT * FROM read_parquet([{files}]) "  # noqa: S608 - our own table
                f"WHERE _healpix_29 >= {lo} AND _healpix_29 < {hi} AND tyc = '{name}'"
            )
            return int(connection.sql(query).to_arrow_table().num_rows)

        some = catalog.files[0].path
        keys = pq.ParquetFile(some).read_row_group(0, columns=["tyc"])["tyc"].to_pylist()
        for what, ask, radius in (
            ("cone_0.01deg_ms", cone, 0.01),
            ("cone_0.1deg_ms", cone, 0.1),
            ("cone_1deg_ms", cone, 1.0),
            ("by_key_ms", key, 0.0),
        ):
            taken = []
            for _ in range(2):  # the first round warms the files
                taken = []
                for ra, dec in positions:
                    start = time.perf_counter()
                    ask(ra, dec, radius)
                    taken.append((time.perf_counter() - start) * 1000)
            figures[what] = statistics.median(taken)
        every = ", ".join(f"'{f.path}'" for f in catalog.files)
        scan = f"SELECT count(*) FROM read_parquet([{every}]) WHERE BTmag - VTmag > 1"  # noqa: S608
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            connection.execute(scan).fetchall()
            taken.append((time.perf_counter() - start) * 1000)
        figures["scan_count_ms"] = statistics.median(taken)
    return figures
