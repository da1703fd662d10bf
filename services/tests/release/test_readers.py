"""Every format gives the same rows: random tables through each and back."""

from __future__ import annotations

import csv
import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cerro_services.release import Column, DataError
from cerro_services.release.conform import Conformer, match
from cerro_services.release.model import TableModel
from cerro_services.release.readers import open_sources

NUMPY = {
    "boolean": np.bool_,
    "short": np.int16,
    "int": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
    "string": np.str_,
}
_INTEGERS = {"short": 15, "int": 31, "long": 63}
# VOTable's and FITS's blanks at the ends of a text have no meaning; XML has no control characters.
_CHARACTERS = st.characters(min_codepoint=33, max_codepoint=126)
_TEXTS = st.text(_CHARACTERS, min_size=1, max_size=9).filter(
    lambda t: t.lower() not in {"nan", "null", "none", "na", "n/a"}
)


def values_of(datatype: str) -> st.SearchStrategy[Any]:
    if datatype == "boolean":
        return st.booleans()
    if datatype in _INTEGERS:
        bits = _INTEGERS[datatype]
        # The least integer is what FITS and VOTable writers put for null.
        return st.none() | st.integers(-(2**bits) + 2, 2**bits - 2)
    if datatype == "string":
        return _TEXTS
    width = 32 if datatype == "float" else 64
    return st.none() | st.floats(width=width, allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], dict[str, list[Any]]]:
    """Draw column types and rows."""
    datatypes = draw(st.lists(st.sampled_from(sorted(NUMPY)), min_size=1, max_size=5))
    count = draw(st.integers(1, 12))
    rows = {
        f"c{i}": draw(st.lists(values_of(d), min_size=count, max_size=count))
        for i, d in enumerate(datatypes)
    }
    return datatypes, rows


def astropy_table(datatypes: list[str], rows: dict[str, list[Any]]) -> AstropyTable:
    table = AstropyTable()
    for (name, values), datatype in zip(rows.items(), datatypes, strict=True):
        mask = [v is None for v in values]
        filler = {"string": "", "boolean": False}.get(datatype, 0)
        data = np.array([filler if v is None else v for v in values], NUMPY[datatype])
        table[name] = MaskedColumn(data, mask=mask) if any(mask) else data
    return table


def write(form: str, folder: Path, datatypes: list[str], rows: dict[str, list[Any]]) -> Path:
    path = folder / f"table.{form}"
    path.unlink(missing_ok=True)
    if form == "parquet":
        names = zip(rows.items(), datatypes, strict=True)
        kinds = {"string": pa.string(), "boolean": pa.bool_()}
        arrays = {
            name: pa.array(values, kinds.get(d) or pa.from_numpy_dtype(NUMPY[d]))
            for (name, values), d in names
        }
        pq.write_table(pa.table(arrays), path, row_group_size=5)
    elif form in {"csv", "csv.gz"}:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(rows)
        for row in zip(*rows.values(), strict=True):
            writer.writerow(
                "" if v is None else repr(v) if isinstance(v, float) else v for v in row
            )
        data = text.getvalue().encode()
        path.write_bytes(gzip.compress(data) if form == "csv.gz" else data)
    elif form == "ecsv":
        astropy_table(datatypes, rows).write(path, format="ascii.ecsv")
    elif form == "fits":
        astropy_table(datatypes, rows).write(path, format="fits")
    else:
        kind = form.removeprefix("vot-")
        astropy_table(datatypes, rows).write(path, format="votable", tabledata_format=kind)
    return path


def read(path: Path, datatypes: list[str]) -> pa.Table:
    columns = tuple(Column(f"c{i}", d) for i, d in enumerate(datatypes))
    model = TableModel("T", columns)
    (source,) = open_sources([path])
    conformer = Conformer(model)
    return pa.Table.from_batches(conformer.batches(match(source, model)), schema=conformer.schema)


FORMS = ["parquet", "csv", "csv.gz", "ecsv", "fits", "vot-tabledata", "vot-binary", "vot-binary2"]


@pytest.mark.req("REL-2")
@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables())
def test_rows_come_back_as_they_were_written(
    form: str, tmp_path: Path, table: tuple[list[str], dict[str, list[Any]]]
) -> None:
    datatypes, rows = table
    if form == "vot-binary":
        # BINARY has no mask of nulls, and astropy writes no VALUES null for integers.
        rows = {
            name: [0 if v is None and d in _INTEGERS else v for v in values]
            for (name, values), d in zip(rows.items(), datatypes, strict=True)
        }
    path = write(form, tmp_path, datatypes, rows)
    found = read(path, datatypes)
    path.unlink()
    for (name, values), datatype in zip(rows.items(), datatypes, strict=True):
        assert found[name].to_pylist() == [
            np.float32(v).item() if datatype == "float" and v is not None else v for v in values
        ], (form, datatype)


@pytest.mark.req("REL-2")
@pytest.mark.parametrize("form", FORMS)
def test_many_rows_come_in_batches_and_in_order(form: str, tmp_path: Path) -> None:
    count = 70_000
    rows = {"c0": list(range(count)), "c1": [f"n{i % 1000}" for i in range(count)]}
    path = write(form, tmp_path, ["long", "string"], rows)
    assert read(path, ["long", "string"]).to_pydict() == rows


@pytest.mark.req("REL-2")
def test_nan_is_no_value(tmp_path: Path) -> None:
    for form in FORMS:
        rows = {"c0": [1.5, math.nan]}
        assert read(write(form, tmp_path, ["double"], rows), ["double"])["c0"].to_pylist() == [
            1.5,
            None,
        ]


@pytest.mark.req("REL-2")
def test_fits_keeps_unsigned_scaled_and_array_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    columns = [
        fits.Column("c0", "J", array=np.array([0, 2**32 - 1], np.uint32), bzero=2**31),
        fits.Column("c1", "I", array=np.array([1, 4])),
        fits.Column("c2", "3E", array=np.arange(6, dtype=np.float32).reshape(2, 3), unit="mag"),
        fits.Column("c3", "L", array=np.array([True, False])),
        fits.Column("c4", "5A", array=np.array(["ab", ""])),
    ]
    image = fits.ImageHDU(np.zeros((7, 5), np.int16))
    fits.HDUList([fits.PrimaryHDU(), image, fits.BinTableHDU.from_columns(columns)]).writeto(path)
    fits.setval(path, "TSCAL2", value=0.5, ext=2)
    fits.setval(path, "TZERO2", value=10, ext=2)
    (source,) = open_sources([path])
    assert [f.unit for f in source.fields][2] == "mag"
    (batch,) = source.batches([f.name for f in source.fields])
    assert batch.to_pydict() == {
        "c0": [0, 2**32 - 1],
        "c1": [10.5, 12.0],
        "c2": [[0, 1, 2], [3, 4, 5]],
        "c3": [True, False],
        "c4": ["ab", ""],
    }


@pytest.mark.req("REL-2")
def test_votable_null_values_units_and_ucds_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.xml"
    path.write_text(
        '<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3" version="1.4"><RESOURCE><TABLE>'
        '<FIELD name="n" datatype="int" ucd="meta.number"><VALUES null="-9"/></FIELD>'
        '<FIELD name="x" datatype="double" unit="mag"><DESCRIPTION>How bright</DESCRIPTION></FIELD>'
        '<FIELD name="s" datatype="char" arraysize="*"/>'
        "<DATA><TABLEDATA><TR><TD>-9</TD><TD/><TD>a &amp; b</TD></TR>"
        "<TR><TD>0x1F</TD><TD>NaN</TD><TD></TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    (source,) = open_sources([path])
    assert [(f.ucd, f.unit, f.description) for f in source.fields] == [
        ("meta.number", None, None),
        (None, "mag", "How bright"),
        (None, None, None),
    ]
    (batch,) = source.batches(["n", "x", "s"])
    assert batch["n"].to_pylist() == [None, 31]
    assert batch["s"].to_pylist() == ["a & b", ""]


@pytest.mark.req("REL-3")
def test_a_votable_that_declares_entities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    path.write_text(
        '<!DOCTYPE VOTABLE [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
        "<VOTABLE><RESOURCE><TABLE><FIELD name='s' datatype='char' arraysize='*'/>"
        "<DATA><TABLEDATA><TR><TD>&b;</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    (source,) = open_sources([path])
    with pytest.raises(DataError, match="entity 'a'"):
        _ = source.fields


@pytest.mark.req("REL-2")
def test_a_cut_query_result_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    AstropyTable({"a": [1]}).write(path, format="votable")
    text = path.read_text().replace(
        "</TABLE>", '</TABLE><INFO name="QUERY_STATUS" value="OVERFLOW"/>'
    )
    path.write_text(text)
    (source,) = open_sources([path])
    assert "OVERFLOW" in source.warnings[0]


@pytest.mark.req("REL-2")
def test_a_folder_stands_for_its_parquet_files(tmp_path: Path) -> None:
    (tmp_path / "d/deep").mkdir(parents=True)
    for name in ("d/b.parquet", "d/deep/a.pq", "d/_metadata.parquet", "d/.hidden.parquet"):
        pq.write_table(pa.table({"a": [1]}), tmp_path / name)
    found = [source.path.name for source in open_sources([tmp_path / "d"])]
    assert found == ["b.parquet", "a.pq"]
