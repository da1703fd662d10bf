"""What astropy, pandas and STILTS make of a result: values, units, descriptions, services."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from astropy.table import Table
from pyarrow import ipc, parquet
from services.tests.formats.documents import BY_NAME, SERVICES, TYPES, VOTABLES, written

from cerro_services.adql import ResultColumn


@pytest.mark.req("FMT-2")
@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_columns_of_one_name_are_told_apart_where_readers_need_it(name: str) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "b"])
    document, _ = written(name, [ResultColumn("n", "long")] * 2, table)
    read = ipc.open_stream(document).read_all() if name == "arrow" else None
    read = read or parquet.read_table(io.BytesIO(document))
    assert read.column_names == ["n", "n_2"]


@pytest.mark.req("FMT-2", "TAP-4")
def test_astropy_reads_units_and_descriptions_from_parquet() -> None:
    columns = [ResultColumn("flux", "float", unit="nJy", ucd="phot.flux", description="a < b & c")]
    columns.append(ResultColumn("kind", "char", "*"))
    table = pa.table({"flux": pa.array([1.5, 2.5], pa.float32()), "kind": ["star", ""]})
    document, _ = written("parquet", columns, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = Table.read(io.BytesIO(document), format="parquet.votable")
    assert str(read["flux"].unit) == "nJy"
    assert read["flux"].description == "a < b & c"
    assert list(read["kind"]) == ["star", ""]


@pytest.mark.req("FMT-2")
def test_pandas_reads_parquet_csv_tsv_and_json() -> None:
    table = pa.table({"a": pa.array([2**62 + 1, None]), "t": ['a, "b"\n', None]})
    columns = [ResultColumn("a", "long"), ResultColumn("t", "char", "*")]
    frame = pd.read_parquet(io.BytesIO(written("parquet", columns, table)[0]))
    assert list(frame.columns) == ["a", "t"]
    for name, separator in (("csv", ","), ("tsv", "\t")):
        document, _ = written(name, columns, table)
        frame = pd.read_csv(io.BytesIO(document), sep=separator, dtype={"a": "Int64"})
        assert frame["a"].tolist()[0] == 2**62 + 1
        assert frame["t"][0] == 'a, "b"\n'
        assert frame.isna().iloc[1].all()
    read = json.loads(written("json", columns, table)[0])
    frame = pd.DataFrame(read["data"], columns=[c["name"] for c in read["metadata"]])
    assert frame["a"][0] == 2**62 + 1


@pytest.mark.req("FMT-6")
@pytest.mark.parametrize("name", [*VOTABLES, "parquet"])
def test_services_name_the_columns_that_they_take(name: str) -> None:
    table = pa.table({"ra": [1.5], "id": [7]})
    columns = [ResultColumn("ra", "double"), ResultColumn("id", "long")]
    document, _ = written(name, columns, table, services=SERVICES)
    if name == "parquet":
        metadata = parquet.read_metadata(io.BytesIO(document)).metadata
        document = metadata[b"IVOA.VOTable-Parquet.content"]
    results, service = parse(io.BytesIO(document)).resources
    assert (service.type, service.utype) == ("meta", "adhoc:service")
    assert [p.value for p in service.params][1] == "http://x/links"
    ident, radius = service.groups[0].entries
    assert ident.ref == results.tables[0].fields[1].ID
    assert results.tables[0].fields[0].ID in {None, "ra"}
    assert (radius.value, str(radius.unit)) == (0.5, "deg")


@pytest.mark.req("FMT-7")
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
def test_votlint_finds_nothing_and_stilts_reads_every_format_alike(tmp_path: Path) -> None:
    table, columns = every_type()
    found: dict[str, str] = {}
    for name in ("binary2", "binary", "tabledata", "fits", "csv"):
        document, _ = written(name, columns, table, services=SERVICES)
        path = tmp_path / f"{name}.{BY_NAME[name].extension}"
        path.write_bytes(document)
        if name in VOTABLES:
            lint = stilts("votlint", str(path))
            assert not lint, f"{name}: {lint}"
        kind = {"fits": "fits", "csv": "csv"}.get(name, "votable")
        found[name] = stilts("tpipe", f"in={path}", f"ifmt={kind}", "ofmt=csv")
    for name in ("binary", "tabledata"):
        assert found[name].splitlines() == found["binary2"].splitlines()
    assert len(found["fits"].splitlines()) == len(found["csv"].splitlines()) == 5


def stilts(*arguments: str) -> str:
    done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr, done.stderr
    return done.stdout


def every_type() -> tuple[pa.Table, list[ResultColumn]]:
    cells: dict[str, list[object]] = {
        "boolean": [True, False, None, True],
        "short": [1, None, -5, 2],
        "long": [2**63 - 1, -(2**62), None, 0],
        "int": [2**31 - 1, None, 5, -7],
        "byte": [0, 255, None, 3],
        "float": [1.5, None, 2.5, -1e30],
        "double": [1e300, 0.1, None, -0.25],
        "unicode": ["é日本😀", "", None, "plain"],
        "char": ["<&>", 'a, "b"', None, "]]>"],
        "code": ["abcde", "a", None, "bc"],
        "point": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
        "floats": [[1.5], [1.0, 2.0], [3.0], [0.5]],
        "shorts": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]],
    }
    columns = [
        TYPES[name][0]
        .named(name)
        .__class__(**{**TYPES[name][0].__dict__, "name": name, "unit": "deg", "ucd": "meta.code"})
        for name in cells
    ]
    arrays = [pa.array(values, TYPES[name][1]) for name, values in cells.items()]
    return pa.table(arrays, names=list(cells)), columns
