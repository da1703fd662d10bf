"""What does not match the schema is refused with the file, the column and the row."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table as AstropyTable

from cerro_services.release import DataError, ReleaseStore, SchemaError
from cerro_services.release.conform import Conformer, match
from cerro_services.release.draft import Drafts
from cerro_services.release.layout import Layout
from cerro_services.release.model import Column, TableModel
from cerro_services.release.readers import open_sources
from cerro_services.release.schema import check_storable, read, validate

from .conftest import SURVEY, Run, objects, only

GOOD = {
    "objectId": pa.array([11, 12, 13]),
    "ra": pa.array([1.0, 2.0, 3.0]),
    "dec": pa.array([-1.0, 0.0, 1.0]),
    "flux": pa.array([1.0, None, 3.0], pa.float32()),
    "band": pa.array(["g", "r", "i"]),
}


@pytest.fixture
def ingest(run: Run, schema_file: Callable[..., Path], tmp_path: Path) -> Callable[..., str]:
    """Ingest a file with some columns replaced, and give what the refusal says."""
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")

    def refused(**columns: Any) -> str:
        data = {**GOOD, **columns}
        first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
        pq.write_table(pa.table({**GOOD, "objectId": pa.array([1, 2, 3])}), first)
        pq.write_table(pa.table({k: v for k, v in data.items() if v is not None}), second)
        result = run("ingest", "survey", "Object", first, second, ok=False)
        return str(result.output)

    return refused


@pytest.mark.req("REL-3")
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"ra": pa.array([1.0, np.nan, 3.0])}, "column ra, row 2: has no value"),
        ({"ra": pa.array([1.0, 2.0, None])}, "column ra, row 3: has no value"),
        (
            {"ra": pa.array([1.0, 2.0, -1.0])},
            "column ra, row 3: a position must be in degrees from 0",
        ),
        (
            {"dec": pa.array([1.0, 90.5, 0.0])},
            "column dec, row 2: a position must be in degrees from -90",
        ),
        ({"dec": pa.array([1.0, np.inf, 0.0])}, "column dec, row 2: a position must be"),
        ({"objectId": pa.array([1, None, 3])}, "column objectId, row 2: has no value"),
        ({"objectId": pa.array([4, 5, 2])}, "column objectId, row 3: the key stands twice"),
        ({"objectId": pa.array([4, 5, 4])}, "column objectId, row 3: the key stands twice"),
        ({"objectId": pa.array(["a", "b", "c"])}, "column objectId: the file has type string"),
        ({"objectId": pa.array([4.0, 5.5, 6.0])}, "column objectId, row 2: is no whole number"),
        (
            {"objectId": pa.array([4, 5, 2**63], pa.uint64())},
            "column objectId, row 3: does not fit long",
        ),
        ({"flux": pa.array([1.0, 2.0, 1e300])}, "column flux, row 3: is too large for float"),
        ({"flux": pa.array([True, False, True])}, "column flux: the file has type bool"),
        (
            {"band": pa.array(["g", "r", "zzz"])},
            "column band, row 3: is longer than the 2 characters",
        ),
        (
            {"band": pa.array([b"g", b"\xff", b"i"])},
            "column band, row 2: is text that is not UTF-8",
        ),
        ({"band": pa.array([None, "g", "zzz"])}, "column band, row 3: is longer than"),
        ({"band": pa.array([[1], [2], [3]])}, "column band: the file has type list"),
        ({"band": None, "Band": GOOD["band"]}, "no such column; it has 'Band'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    ingest: Callable[..., str], store: ReleaseStore, columns: dict[str, Any], words: str
) -> None:
    output = ingest(**columns)
    assert words in output
    assert "second.parquet" in output
    draft = store.root / "survey/draft"
    assert not list(draft.rglob("*.parquet"))
    assert not list(draft.rglob(".*.partial"))


@pytest.mark.req("REL-3")
def test_a_double_key_names_both_files_and_rows(ingest: Callable[..., str]) -> None:
    output = ingest(objectId=pa.array([4, 5, 2]))
    assert "second.parquet, column objectId, row 3: the key stands twice, first in " in output
    assert "first.parquet, row 2 (value 2)" in output


@pytest.mark.req("REL-3")
def test_a_double_key_is_found_among_many_with_little_memory(
    store: ReleaseStore, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text(only("Object"))
    data = objects(60_000)
    ids = data["objectId"].to_numpy().copy()
    ids[54_321] = ids[17]
    pq.write_table(data.set_column(0, "objectId", pa.array(ids)), tmp_path / "t.parquet")
    from cerro_services.release.access import Access
    from cerro_services.release.description import Description

    drafts = Drafts(store, Layout(memory=256 << 10))
    drafts.create(Description("survey", "S", Access()), schema)
    with pytest.raises(DataError) as caught:
        drafts.ingest("survey", "Object", [tmp_path / "t.parquet"])
    assert (caught.value.row, caught.value.value) == (54_322, ids[17])
    assert "row 18" in caught.value.problem


@pytest.mark.req("REL-3")
def test_a_refused_file_leaves_the_table_as_it_was(
    run: Run, store: ReleaseStore, schema_file: Callable[..., Path], tmp_path: Path
) -> None:
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(GOOD), path)
    run("ingest", "survey", "Object", path)
    pq.write_table(pa.table({**GOOD, "ra": pa.array([1.0, 2.0, 400.0])}), path)
    run("ingest", "survey", "Object", path, ok=False)
    assert store.open("survey", "draft").tables["Object"].nrows == 3
    run("publish", "survey")


@pytest.mark.req("REL-3")
def test_unknown_columns_are_left_out_with_a_warning(
    run: Run, schema_file: Callable[..., Path], tmp_path: Path
) -> None:
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    path = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({**GOOD, "_healpix_29": pa.array([1, 2, 3]), "junk": pa.array([0, 0, 0])}), path
    )
    output = run("ingest", "survey", "Object", path).output
    assert "left out, for the schema does not have them: junk\n" in output


# ---- damaged files ---------------------------------------------------------------------------


def damaged(kind: str, folder: Path) -> Path:
    """Write a file and cut it."""
    table = AstropyTable({k: np.arange(5_000) * 0.01 for k in ("objectId", "ra", "dec")})
    table["objectId"] = np.arange(5_000)
    path = folder / f"t.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({k: np.asarray(table[k]) for k in table.colnames}), path)
    elif kind == "csv.gz":
        with gzip.open(path, "wt") as stream:
            table.write(stream, format="ascii.csv")
    else:
        table.write(path, format={"fits": "fits", "vot": "votable"}[kind])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


@pytest.mark.req("REL-3")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("parquet", "cannot be read as Parquet"),
        ("fits", "is cut short: it ends after row"),
        ("vot", "is damaged or cut short"),
        ("csv.gz", "t.csv.gz"),
    ],
)
def test_a_file_that_is_cut_short_is_refused(
    run: Run, schema_file: Callable[..., Path], tmp_path: Path, kind: str, words: str
) -> None:
    text = only("Object").split("  - name: flux")[0]
    run("create", "survey", "--schema", schema_file(text), "--title", "S")
    result = run("ingest", "survey", "Object", damaged(kind, tmp_path), ok=False)
    assert words in result.output
    assert f"t.{kind}" in result.output


@pytest.mark.req("REL-3")
def test_parquet_damaged_within_is_refused(
    run: Run, schema_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(objects(20_000), path, compression="zstd")
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(data)
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    assert "is damaged after row" in run("ingest", "survey", "Object", path, ok=False).output


@pytest.mark.req("REL-3")
def test_a_fits_column_of_variable_length_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    column = fits.Column("v", "PJ()", array=np.array([[1], [1, 2]], dtype=object))
    fits.BinTableHDU.from_columns([column]).writeto(path)
    (source,) = open_sources([path])
    with pytest.raises(DataError, match="column v: is an array of variable length"):
        _ = source.fields


def every_row(path: Path) -> list[pa.RecordBatch]:
    (source,) = open_sources([path])
    return list(source.batches([field.name for field in source.fields]))


@pytest.mark.req("REL-3")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("1.5,2.5\n1,2\n", "seems to be data"),
        ("a,a\n1,2\n", "names column 'a' twice"),
        ("a,b\n1,2\n3\n", "row 2: has 1 values where the header names 2"),
    ],
)
def test_text_that_is_no_table_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=words):
        every_row(path)


@pytest.mark.req("REL-3")
@pytest.mark.parametrize(
    ("datatype", "text", "words"),
    [
        ("double", "00:08:27.05", "looks sexagesimal"),
        ("int", "3000000000", "does not fit int"),
        ("int", "1.5", "is no whole number"),
        ("boolean", "maybe", "is neither true nor false"),
        ("timestamp", "yesterday", "is no time in ISO 8601"),
        ("timestamp", "2026-13-01", "is no time in ISO 8601"),
    ],
)
def test_text_that_is_no_value_of_its_type_is_named(
    tmp_path: Path, datatype: str, text: str, words: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a\n\n{text}\n".replace("\n\n", '\n""\n', 1))
    model = TableModel("T", (Column("a", datatype),))
    (source,) = open_sources([path])
    with pytest.raises(DataError, match=words) as caught:
        list(Conformer(model).batches(match(source, model)))
    assert (caught.value.row, caught.value.value) == (2, text)


@pytest.mark.req("REL-2")
def test_text_becomes_numbers_truths_and_times(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "i;b;t;x\n 12.0;T;2026-01-02T03:04:05.25;NaN\n;no;2026-01-02 03:04:05+01:00;1e-3\n"
    )
    columns = (("i", "int"), ("b", "boolean"), ("t", "timestamp"), ("x", "double"))
    model = TableModel("T", tuple(Column(n, d) for n, d in columns))
    (source,) = open_sources([path])
    (batch,) = Conformer(model).batches(match(source, model))
    assert batch["i"].to_pylist() == [12, None]
    assert batch["b"].to_pylist() == [True, False]
    assert [t.isoformat() for t in batch["t"].to_pylist()] == [
        "2026-01-02T03:04:05.250000",
        "2026-01-02T02:04:05",
    ]
    assert batch["x"].to_pylist() == [None, 0.001]


def check_whole(path: Path) -> None:
    """Check a schema as ``cerro release create`` does."""
    validate(path)
    check_storable(read(path), path)


# ---- schemas ---------------------------------------------------------------------------------


@pytest.mark.req("REL-3")
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("datatype: float", "datatype: floot", "table Object column flux: datatype 'floot'"),
        ("ivoa:unit: nJy", "ivoa:unit: nJo", r"table Object column flux.*nJo"),
        ("pos.eq.ra;meta.main\n", "pos.eq.rah\n", r"table Object column ra.*UCD"),
        (
            "'#Object.objectId'\n  columns",
            "'#Object.id'\n  columns",
            "key of Object names no column",
        ),
        ("name: band", "name: FLUX", "one name in ADQL"),
        ("- name: Visit", "- name: ../Visit", "cannot name a table"),
    ],
)
def test_a_schema_that_is_not_valid_is_told_by_table_and_column(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(SURVEY.replace(old, new, 1))
    with pytest.raises(SchemaError, match=f"(?s)schema.yaml.*{words}"):
        check_whole(path)


@pytest.mark.req("REL-3")
def test_positions_must_be_in_degrees(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(SURVEY.replace("ivoa:unit: deg", "ivoa:unit: rad", 1))
    with pytest.raises(SchemaError, match=r"Object\.ra .* in rad"):
        check_storable(read(path), path)
