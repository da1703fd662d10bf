"""Tables have exactly the columns of their model."""

from __future__ import annotations

import os
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import yaml
from astropy.io.votable.ucd import parse_ucd

from cerro_pipelines.schema.columns import conform, empty, sort_bands, table_model, table_names

DATA = Path(os.environ.get("CERRO_TRIAL_DATA") or Path(__file__).parents[4] / "shared" / "data")


@pytest.mark.req("PIPE-7")
def test_units_and_ucds_are_those_of_the_standards() -> None:
    for name in table_names():
        for column in table_model(name, ["g", "H"]).columns:
            if column.unit is not None:
                u.Unit(column.unit, format="vounit")
            if column.ucd is not None:
                parse_ucd(column.ucd, check_controlled_vocabulary=True)


@pytest.mark.req("PIPE-7")
@pytest.mark.parametrize("name", ["Object", "Source", "ForcedSource", "DiaSource", "DiaObject"])
def test_columns_bear_the_names_of_lsst(name: str) -> None:
    folder = DATA / "models" / "sdm_schemas" / "python" / "lsst" / "sdm" / "schemas"
    if not folder.is_dir():
        pytest.skip(f"no LSST schemas in {folder}: set CERRO_TRIAL_DATA")
    theirs: dict[str, str] = {}
    for file in ("apdb.yaml", "dp1.yaml"):
        document = yaml.safe_load((folder / file).read_text())
        for table in document["tables"]:
            if table["name"] == name:
                theirs |= {c["name"]: c["datatype"] for c in table["columns"]}
    ours = table_model(name, ["r"]).columns
    # What these tables of LSST have no word for (nearbyObj1 stood in earlier versions).
    own = {
        *("expMidptMJD", "kronFlux", "kronFluxErr", "kronFlux_flag", "apFlux_flag", "tract"),
        *("isNegative", "detect_fromBlend", "shape_flag", "nearbyObj1", "nearbyObj1Dist"),
    }
    foreign = [c.name for c in ours if c.name not in theirs and c.name not in own]
    assert foreign == []
    numeric = {"int", "long", "float", "double"}
    for column in ours:
        if column.name in theirs:
            same_kind = {column.datatype, theirs[column.name]} <= numeric
            assert same_kind or column.datatype == theirs[column.name]


@pytest.mark.req("PIPE-7")
def test_each_table_has_a_position_and_a_key_that_it_holds() -> None:
    for name in table_names():
        model = table_model(name, ["r"])
        assert set(model.primary_key) <= set(model.names)
        ucds = [c.ucd for c in model.columns]
        if name != "TruthVisit":
            assert ucds.count("pos.eq.ra;meta.main") == 1
            assert ucds.count("pos.eq.dec;meta.main") == 1


def visit_moments(**changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "truthId": np.array([1, 2]),
        "visit": np.array([5, 5]),
        "band": "r",
        "expMidptMJD": 61000.5,
        "flux": np.array([1.0, 2.0]),
    }
    return {k: v for k, v in {**values, **changes}.items() if v is not None}


@pytest.mark.req("PIPE-7")
def test_conforming_gives_order_types_units_and_broadcasts_scalars() -> None:
    table = conform("TruthVisit", visit_moments())
    assert table.colnames == list(table_model("TruthVisit").names)
    assert table["flux"].dtype == np.float32
    assert str(table["flux"].unit) == "nJy"
    assert table["band"].tolist() == ["r", "r"]


@pytest.mark.req("PIPE-7")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flux": None}, r"missing \['flux'\]"),
        ({"color": 1.0}, r"unknown \['color'\]"),
        ({"truthId": np.array([1.0, 2.0])}, "give integers"),
        ({"truthId": np.ma.masked_equal([1, 2], 2)}, "may not be null"),
        ({"flux": np.array([1.0, np.nan])}, "NaN or infinity"),
        ({"flux": np.array([1.0])}, "different lengths"),
        ({"band": "x" * 17}, "17 characters"),
    ],
)
def test_what_does_not_conform_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        conform("TruthVisit", visit_moments(**changes))


@pytest.mark.req("PIPE-7")
def test_missing_integers_become_nulls() -> None:
    values = {c.name: np.zeros(2, bool) if c.datatype == "boolean" else np.zeros(2, int)
              for c in table_model("DiaObject").columns}  # fmt: skip
    values["nearbyObj1"] = np.ma.masked_equal([7, -1], -1)
    table = conform("DiaObject", values)
    assert table["nearbyObj1"].tolist() == [7, None]


@pytest.mark.req("PIPE-7")
def test_bands_come_blue_to_red() -> None:
    assert sort_bands(["i", "H", "g", "N708", "r"]) == ["g", "r", "i", "H", "N708"]


@pytest.mark.req("PIPE-7")
def test_a_table_without_rows_has_all_columns() -> None:
    table = empty("Object", ["g", "r"])
    assert len(table) == 0
    assert table.colnames == list(table_model("Object", ["g", "r"]).names)
