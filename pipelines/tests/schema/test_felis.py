"""The schema that is written is valid Felis and says what the repository holds."""

from __future__ import annotations

from pathlib import Path

import felis
import pytest

from cerro_pipelines import repository
from cerro_pipelines.schema.columns import table_model, table_names
from cerro_pipelines.schema.felis import SchemaError, felis_document, tables_of, write_schema
from cerro_pipelines.simulate.survey import TRUTH_RUN


@pytest.mark.req("PIPE-7")
def test_all_tables_together_are_valid_felis(tmp_path: Path) -> None:
    models = [table_model(n, ["g", "r", "i"]) for n in table_names()]
    write_schema(felis_document("sim", models), tmp_path / "sim.yaml")
    schema = felis.Schema.from_uri(str(tmp_path / "sim.yaml"))
    assert schema.name == "sim"
    by_name = {t.name: t for t in schema.tables}
    assert by_name["Object"].primary_key == "#Object.objectId"
    assert by_name["ForcedSource"].primary_key == [
        "#ForcedSource.objectId",
        "#ForcedSource.visit",
        "#ForcedSource.detector",
    ]
    keys = {c.name for c in by_name["ForcedSource"].constraints}
    assert keys == {"ForcedSource_objectId_Object_fk", "ForcedSource_visit_Visit_fk"}


@pytest.mark.req("PIPE-7")
def test_keys_to_tables_that_are_not_there_are_left_out() -> None:
    document = felis_document("sim", [table_model("ForcedSource")])
    assert "constraints" not in document["tables"][0]


@pytest.mark.req("PIPE-7")
def test_the_tables_of_a_repository_are_found_with_their_bands(survey_root: Path) -> None:
    butler = repository.open_repository(survey_root)
    models = {m.name: m for m in tables_of(butler, [TRUTH_RUN])}
    assert set(models) == {"TruthObject", "TruthVisit", "TruthMoving"}
    assert [c.name for c in models["TruthObject"].columns if c.name.endswith("_flux")] == [
        "g_flux",
        "r_flux",
        "i_flux",
    ]


@pytest.mark.req("PIPE-7")
def test_a_collection_without_tables_says_what_to_run(survey_root: Path) -> None:
    with pytest.raises(SchemaError, match="cerro pipeline reduce"):
        tables_of(repository.open_repository(survey_root), ["SimCam/raw"])
