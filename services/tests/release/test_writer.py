"""Tables become HATS: partitioned, sorted, described, in bounded memory."""

from __future__ import annotations

import json
from pathlib import Path

import cdshealpix.nested
import hats
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import Latitude, Longitude
from hats.io.validation import is_valid_catalog

from cerro_services.release import Catalog, ReleaseStore, Table
from cerro_services.release.access import Access
from cerro_services.release.description import Description
from cerro_services.release.draft import Drafts
from cerro_services.release.layout import Layout
from cerro_services.release.partitions import MAX_ORDER, divide
from cerro_services.release.runs import SortedRuns

from .conftest import SURVEY, objects, sources

SMALL = Layout(max_rows=700, row_group=256, memory=64 << 10)
"""Makes a table of some thousand rows spill and split."""


def fill(store: ReleaseStore, tmp_path: Path, name: str, data: pa.Table, layout: Layout) -> Table:
    """Ingest a table in two files and give it as stored."""
    schema = tmp_path / "schema.yaml"
    schema.write_text(SURVEY)
    half = data.num_rows // 2
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pq.write_table(data.slice(0, half), files[0])
    pq.write_table(data.slice(half), files[1])
    drafts = Drafts(store, layout)
    drafts.create(Description("survey", "Survey", Access()), schema)
    drafts.ingest("survey", name, files)
    return store.open("survey", "draft").tables[name]


def stored_rows(table: Table) -> pa.Table:
    return pa.concat_tables(pq.read_table(f.path, partitioning=None) for f in table.catalog.files)


def cells_of(data: pa.Table, ra: str = "ra", dec: str = "dec") -> np.ndarray:
    lon = Longitude(data[ra].to_numpy(), "deg")
    lat = Latitude(data[dec].to_numpy(), "deg")
    return cdshealpix.nested.lonlat_to_healpix(lon, lat, 29).astype(np.int64)


@pytest.mark.req("REL-2")
@pytest.mark.parametrize("layout", [Layout(), SMALL], ids=["in memory", "spilled"])
def test_rows_are_kept_and_sorted_by_their_cell(
    store: ReleaseStore, tmp_path: Path, layout: Layout
) -> None:
    data = objects(9_000)
    table = fill(store, tmp_path, "Object", data, layout)
    rows = stored_rows(table)
    cells = rows["_healpix_29"].to_numpy()
    assert (np.diff(cells) >= 0).all()
    np.testing.assert_array_equal(cells, cells_of(rows))
    wanted = data.take(pa.array(np.argsort(cells_of(data), kind="stable")))
    assert rows.drop_columns(["_healpix_29"]).equals(wanted.cast(rows.schema.remove(0)))


@pytest.mark.req("REL-2")
def test_a_small_budget_spills_and_a_large_one_does_not(tmp_path: Path) -> None:
    data = objects(9_000)
    batch = data.append_column("_healpix_29", pa.array(cells_of(data))).combine_chunks()
    small, large = SortedRuns(tmp_path, 64 << 10), SortedRuns(tmp_path, 64 << 20)
    for runs in (small, large):
        for part in batch.to_batches(max_chunksize=500):
            runs.add(part)
        runs.finish()
    assert small.spilled > 3
    assert large.spilled == 0
    for lo, hi in ((0, 12 << 58), (5 << 56, 7 << 56), (0, 0)):
        assert small.count(lo, hi) == large.count(lo, hi)
        if small.count(lo, hi):
            assert small.rows(lo, hi).equals(large.rows(lo, hi))


@pytest.mark.req("REL-2")
def test_partitions_are_as_large_as_the_limit_allows(store: ReleaseStore, tmp_path: Path) -> None:
    crowded = objects(6_000)
    # Half of the rows in a hundredth of a degree, as in a globular cluster.
    ra, dec = crowded["ra"].to_numpy().copy(), crowded["dec"].to_numpy().copy()
    ra[::2], dec[::2] = 201.69 + ra[::2] / 36_000, -47.48 + dec[::2] / 18_000
    data = crowded.set_column(1, "ra", pa.array(ra)).set_column(2, "dec", pa.array(dec))
    table = fill(store, tmp_path, "Object", data, SMALL)
    files = table.catalog.files
    assert sum(f.nrows for f in files) == table.nrows == 6_000
    assert max(f.nrows for f in files) <= 1_000  # never split below a thousand rows
    assert len({f.norder for f in files}) > 2
    for file in files:
        cells = pq.read_table(file.path, partitioning=None)["_healpix_29"].to_numpy()
        assert cells.min() >= file.lo
        assert cells.max() < file.hi
        siblings = sum(
            f.nrows for f in files if f.norder == file.norder and f.npix // 4 == file.npix // 4
        )
        assert file.norder == 0 or siblings > 0


@pytest.mark.req("REL-2")
def test_rows_of_one_position_end_the_division() -> None:
    tiles = divide(lambda lo, hi: 5_000 if lo <= 77 < hi else 0, max_rows=1_000)
    assert [(t.norder, t.npix, t.nrows) for t in tiles] == [(MAX_ORDER, 0, 5_000)]


@pytest.mark.req("REL-2")
def test_the_hats_library_reads_what_is_written(store: ReleaseStore, tmp_path: Path) -> None:
    table = fill(store, tmp_path, "Object", objects(9_000), SMALL)
    assert is_valid_catalog(table.catalog.root, strict=True)
    catalog = hats.read_hats(table.catalog.root)
    assert catalog.catalog_info.total_rows == 9_000
    assert catalog.catalog_info.ra_column == "ra"
    pixels = [(p.order, p.pixel) for p in catalog.get_healpix_pixels()]
    assert sorted(pixels) == sorted((f.norder, f.npix) for f in table.catalog.files)
    foot = pq.read_metadata(table.catalog.root / "dataset/_metadata")
    assert foot.num_rows == 9_000


@pytest.mark.req("REL-2")
def test_parquet_is_laid_out_for_small_cones(store: ReleaseStore, tmp_path: Path) -> None:
    table = fill(store, tmp_path, "Object", objects(9_000), Layout(row_group=1_024))
    file = pq.ParquetFile(table.catalog.files[0].path)
    group = file.metadata.row_group(0)
    assert group.num_rows <= 1_024
    assert file.schema_arrow.names[0] == "_healpix_29"
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    # What is looked up lies in the file as it is in memory; what repeats is compressed.
    for name in ("_healpix_29", "objectId", "ra", "dec"):
        assert columns[name].compression == "UNCOMPRESSED"
        assert not columns[name].has_dictionary_page
    assert columns["band"].compression == "ZSTD"
    assert all(c.has_column_index and c.has_offset_index for c in columns.values())
    assert all(c.statistics.has_min_max for c in columns.values())
    assert file.schema_arrow.field("flux").metadata[b"unit"] == b"nJy"


@pytest.mark.req("REL-2")
def test_files_for_gives_the_partitions_that_a_region_touches(
    store: ReleaseStore, tmp_path: Path
) -> None:
    catalog = fill(store, tmp_path, "Object", objects(9_000), SMALL).catalog
    rng = np.random.default_rng(5)
    for _ in range(20):
        edges = np.unique(rng.integers(0, 12 << 58, 8))
        ranges = edges[: len(edges) // 2 * 2].reshape(-1, 2)
        wanted = [
            f.path for f in catalog.files if any(lo < f.hi and f.lo < hi for lo, hi in ranges)
        ]
        assert list(catalog.files_for(ranges)) == wanted
    assert catalog.files_for(np.empty((0, 2), np.int64)) == ()


@pytest.mark.req("REL-2")
def test_an_index_leads_from_a_key_or_a_foreign_key_to_the_sky(
    store: ReleaseStore, tmp_path: Path
) -> None:
    table = fill(store, tmp_path, "Source", sources(3_000, of=40), SMALL)
    rows = stored_rows(table)
    for column, value in (("sourceId", 2_718), ("objectId", 17)):
        ranges = table.catalog.locate(column, [value, -5])
        cells = rows.filter(pa.compute.equal(rows[column], value))["_healpix_29"].to_numpy()
        covered = [((ranges[:, 0] <= cell) & (cell < ranges[:, 1])).any() for cell in cells]
        assert len(cells)
        assert all(covered)
        assert (ranges[:, 1] - ranges[:, 0]).sum() == len(np.unique(cells))
    assert not len(table.catalog.locate("sourceId", [-1]))
    assert not len(table.catalog.locate("sourceId", ["none"]))
    assert table.catalog.locate("coord_ra", [1.0]) is None


@pytest.mark.req("REL-2")
def test_a_table_without_positions_is_sorted_by_its_key(
    store: ReleaseStore, tmp_path: Path
) -> None:
    visits = np.random.default_rng(3).permutation(5_000)
    begin = pa.array(visits.astype("datetime64[us]"))
    table = fill(store, tmp_path, "Visit", pa.table({"visit": visits, "begin": begin}), SMALL)
    assert not table.catalog.is_spatial
    assert len(table.catalog.files) == 5
    rows = stored_rows(table)
    assert rows.schema.names == ["visit", "begin"]
    assert rows["visit"].to_pylist() == list(range(5_000))
    assert table.catalog.files_for(np.array([[0, 1]])) == tuple(f.path for f in table.catalog.files)


@pytest.mark.req("REL-2")
def test_a_catalogue_is_there_only_when_its_manifest_is(
    store: ReleaseStore, tmp_path: Path
) -> None:
    root = fill(store, tmp_path, "Object", objects(500), Layout()).catalog.root
    manifest = json.loads((root / "manifest.json").read_text())
    assert {f["kind"] for f in manifest["files"]} == {"data", "index", "meta"}
    (root / "manifest.json").unlink()
    assert Catalog.read(root) is None


@pytest.mark.req("REL-2")
def test_memory_is_bounded_whatever_the_table(tmp_path: Path) -> None:
    """Arrow's memory while sorting 20 MB with a budget of 2 MB stays near the budget."""
    table = objects(400_000).append_column("_healpix_29", pa.array(np.arange(400_000)[::-1]))
    path = tmp_path / "big.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, 20_000)
    size = table.nbytes
    del table
    runs = SortedRuns(tmp_path / "runs", 2 << 20)
    before, peak = pa.total_allocated_bytes(), 0
    with pa.memory_map(str(path)) as stream:
        reader = pa.ipc.open_file(stream)
        for i in range(reader.num_record_batches):
            runs.add(reader.get_batch(i))
            peak = max(peak, pa.total_allocated_bytes() - before)
    runs.finish()
    for start in range(0, 400_000, 20_000):
        rows = runs.rows(start, start + 20_000)
        assert rows["_healpix_29"].to_pylist() == list(range(start, start + 20_000))
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert runs.spilled > 5
    assert peak < size / 2
