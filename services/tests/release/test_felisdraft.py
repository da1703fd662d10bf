"""A Felis schema is drafted from a table, and a stranger's table gets published with it."""

from __future__ import annotations

from pathlib import Path

import felis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable

from .conftest import Run, objects


def drafted(path: Path) -> felis.Schema:
    return felis.Schema.from_uri(str(path), context={"id_generation": True})


def described() -> AstropyTable:
    """Make a table that describes itself, as an archive's files do."""
    table = AstropyTable(
        {
            "name": ["a", "bcd", "e"],
            "RAJ2000": [10.0, 20.0, 30.0],
            "DEJ2000": [-1.0, 0.0, 1.0],
            "vmag": MaskedColumn([7.5, 8.0, 9.0], mask=[False, True, False]),
            "n": np.array([1, 2, 2], np.int16),
        }
    )
    table["RAJ2000"].unit = table["DEJ2000"].unit = "deg"
    table["vmag"].unit = "mag"
    table["vmag"].description = "Visual magnitude: V"
    return table


@pytest.mark.req("REL-5")
@pytest.mark.parametrize("form", ["fits", "ecsv", "vot"])
def test_types_units_and_descriptions_come_from_the_file(
    run: Run, tmp_path: Path, form: str
) -> None:
    path, out = tmp_path / f"t.{form}", tmp_path / "t.yaml"
    table = described()
    table["vmag"].meta["ucd"] = "phot.mag;em.opt.V"
    table.write(path, format={"fits": "fits", "ecsv": "ascii.ecsv", "vot": "votable"}[form])
    run("schema", "draft", path, "--name", "stars", "--table", "Stars", "-o", out)
    columns = {c.name: c for c in drafted(out).tables[0].columns}
    assert [c.datatype.value for c in columns.values()] == [
        "string",
        "double",
        "double",
        "double",
        "short",
    ]
    assert columns["vmag"].ivoa_unit == "mag"
    assert columns["vmag"].nullable
    assert not columns["n"].nullable
    if form != "fits":
        assert columns["vmag"].ivoa_ucd == "phot.mag;em.opt.V"
        assert columns["vmag"].description == "Visual magnitude: V"
    assert columns["RAJ2000"].ivoa_ucd == "pos.eq.ra;meta.main"
    assert columns["DEJ2000"].ivoa_ucd == "pos.eq.dec;meta.main"
    assert drafted(out).tables[0].primary_key == "#Stars.name"


@pytest.mark.req("REL-5")
def test_what_was_guessed_is_told(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(objects(100), path)
    output = run("schema", "draft", path, "--name", "survey", "--table", "Object").output
    assert "ra is taken for ra (by its name)" in output
    assert "objectId is taken for the key, for its values are unique" in output
    assert "# Taken for the key" in output


@pytest.mark.req("REL-5")
def test_what_is_told_goes_before_a_guess(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "t.yaml"
    path.write_text("ra,dec,x,y,code\n1,2,3,4,7\n1,2,3,4,8\n")
    options = ("--ra", "x", "--dec", "y", "--key", "code", "-o", out)
    run("schema", "draft", path, "--name", "s", "--table", "T", *options)
    table = drafted(out).tables[0]
    assert [c.name for c in table.columns if c.ivoa_ucd] == ["x", "y"]
    assert table.primary_key == "#T.code"
    refused = run("schema", "draft", path, "--name", "s", "--table", "T", "--ra", "alpha", ok=False)
    assert "--ra: there is no such column; the file has ra, dec, x, y, code" in refused.output


@pytest.mark.req("REL-5")
def test_types_of_text_are_read_from_all_rows(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "t.yaml"
    rows = [f"{i},{i},true,2026-01-01,{i}" for i in range(50_000)] + [
        "x,1.5,,2026-01-01T00:00:00Z,"
    ]
    path.write_text("a,b,c,d,e\n" + "\n".join(rows) + "\n")
    run("schema", "draft", path, "--name", "s", "--table", "T", "-o", out)
    found = {c.name: (c.datatype.value, c.nullable) for c in drafted(out).tables[0].columns}
    assert found == {
        "a": ("string", False),
        "b": ("double", False),
        "c": ("boolean", True),
        "d": ("timestamp", False),
        "e": ("long", True),
    }


@pytest.mark.req("REL-5")
def test_a_pair_of_one_beginning_is_a_position(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "t.yaml"
    path.write_text("aurora,obj_ra,obj_dec\n1.5,2.5,3.5\n")
    run("schema", "draft", path, "--name", "s", "--table", "T", "-o", out)
    placed = [c.name for c in drafted(out).tables[0].columns if c.ivoa_ucd]
    assert placed == ["obj_ra", "obj_dec"]


@pytest.mark.req("REL-5")
def test_columns_that_a_release_cannot_hold_are_left_out_and_told(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "t.parquet", tmp_path / "t.yaml"
    data = {"a": [1], "s": pa.array([{"x": 1}]), "l": pa.array([[1.0, 2.0]])}
    pq.write_table(pa.table(data), path)
    result = run("schema", "draft", path, "--name", "s", "--table", "T", "-o", out)
    assert "column s is left out: a release cannot hold struct" in result.output
    assert [c.name for c in drafted(out).tables[0].columns] == ["a", "l"]


@pytest.mark.req("REL-5")
@pytest.mark.parametrize(
    ("name", "file", "rows"),
    [
        ("gcvs", "catalogs/gcvs_spicy_fink/gcvs.parquet", 59_099),
        ("gaia", "catalogs/gaia_2mass_ngc188/gaia_dr2.parquet", 4_876),
        ("ztf", "timedomain/ztf_dr5_field250_lightcurves/ztf_000250_zg_c01_q1_dr5.parquet", 5_449),
        ("hats", "catalogs/hats_synthetic_fixtures/small_sky", 131),
    ],
)
def test_a_real_table_is_published_with_its_draft(
    run: Run, trial_data: Path, tmp_path: Path, *, name: str, file: str, rows: int
) -> None:
    out = tmp_path / "t.yaml"
    run("schema", "draft", trial_data / file, "--name", name, "--table", "T", "-o", out)
    run("create", name, "--schema", out, "--title", name)
    run("ingest", name, "T", trial_data / file)
    assert f"{rows:,} rows" in run("publish", name).output


@pytest.mark.req("REL-5")
def test_sexagesimal_positions_are_told(run: Run, trial_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.yaml"
    table = trial_data / "catalogs/openngc/NGC.csv"
    result = run("schema", "draft", table, "--name", "ngc", "--table", "Ngc", "-o", out)
    assert "RA is text; a position must be a number of degrees" in result.output
    run("create", "ngc", "--schema", out, "--title", "NGC")
    refused = run("ingest", "ngc", "Ngc", table, ok=False)
    assert "column RA, row 1" in refused.output
    assert "looks sexagesimal" in refused.output
