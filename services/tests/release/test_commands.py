"""A release is created, filled, checked, published and listed by commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cerro_services.release import ReleaseNotFound, ReleaseStore

from .conftest import SURVEY, Run, objects, only, sources

SchemaFile = Callable[..., Path]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Write the tables of the survey."""
    tables = {
        "Object": objects(500),
        "Source": sources(800, of=500),
        "Visit": pa.table({"visit": [2, 1], "begin": pa.array([5, None], pa.timestamp("us"))}),
    }
    paths = {name: tmp_path / f"{name}.parquet" for name in tables}
    for name, table in tables.items():
        pq.write_table(table, paths[name])
    return paths


@pytest.fixture
def filled(run: Run, schema_file: SchemaFile, files: dict[str, Path]) -> None:
    """Make a draft with all its tables."""
    run(
        "create", "survey", "--schema", schema_file(), "--title", "A survey", "--licence", "CC0-1.0"
    )
    for name, path in files.items():
        run("ingest", "survey", name, path)


@pytest.mark.req("REL-1")
@pytest.mark.usefixtures("filled")
def test_a_release_goes_from_tables_to_published(run: Run, store: ReleaseStore) -> None:
    assert "sound" in run("check", "survey").output
    assert "Published survey, version 1: 3 tables, 1,302 rows" in run("publish", "survey").output
    (release,) = store.published()
    assert (release.name, release.version, release.title) == ("survey", "1", "A survey")
    assert release.licence == "CC0-1.0"
    assert {n: t.nrows for n, t in release.tables.items()} == {
        "Object": 500,
        "Source": 800,
        "Visit": 2,
    }
    assert release.tables["Object"].key == ("objectId",)
    assert (release.tables["Source"].ra, release.tables["Source"].dec) == ("coord_ra", "coord_dec")
    assert release.tables["Visit"].ra is None
    (key,) = release.foreign_keys
    assert (key.from_table, key.target_table) == ("Source", "Object")
    flux = release.tables["Object"].column("flux")
    assert (flux.datatype, flux.unit, flux.column_index) == ("float", "nJy", 4)


@pytest.mark.req("REL-1")
@pytest.mark.usefixtures("filled")
def test_the_list_shows_versions_and_drafts(run: Run, schema_file: SchemaFile) -> None:
    assert "draft" in run("list").output
    run("publish", "survey")
    run("create", "survey", "--schema", schema_file(only("Visit")), "--title", "Less")
    (first, second) = json.loads(run("list", "--json").output)
    assert (first["version"], first["state"], first["rows"], first["access"]) == (
        "1",
        "published",
        1_302,
        "public",
    )
    assert first["bytes"] > 10_000
    assert (second["state"], second["tables"], second["rows"]) == ("draft", 1, 0)
    lines = run("list").output.splitlines()
    assert lines[0].split() == [
        "NAME",
        "VERSION",
        "STATE",
        "TABLES",
        "ROWS",
        "SIZE",
        "ACCESS",
        "TITLE",
    ]
    assert len(lines) == 3


@pytest.mark.req("REL-1")
@pytest.mark.usefixtures("filled")
def test_a_new_version_is_seen_without_a_restart(
    run: Run, store: ReleaseStore, schema_file: SchemaFile, files: dict[str, Path]
) -> None:
    assert store.published() == ()
    run("publish", "survey")
    before = store.published()
    assert store.published() is before
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "Second")
    run("ingest", "survey", "Object", files["Object"])
    assert store.published() is before
    run("publish", "survey")
    (release,) = store.published()
    assert (release.version, release.title, list(release.tables)) == ("2", "Second", ["Object"])
    assert store.open("survey", "1").title == "A survey"


@pytest.mark.req("REL-1")
def test_what_is_not_there_is_told(run: Run, store: ReleaseStore, schema_file: SchemaFile) -> None:
    for command in (("publish", "none"), ("check", "none"), ("ingest", "none", "T", "/no/file")):
        assert "none" in run(*command, ok=False).output
    with pytest.raises(ReleaseNotFound):
        store.open("none")
    with pytest.raises(ReleaseNotFound):
        store.open("../survey")
    run("create", "survey", "--schema", schema_file(), "--title", "S")
    output = run("ingest", "survey", "Objects", "/no/file", ok=False).output
    assert "no table 'Objects'; it has Object, Source, Visit" in output
    assert (
        "/no/file: does not exist" in run("ingest", "survey", "Object", "/no/file", ok=False).output
    )
    with pytest.raises(ReleaseNotFound, match="not published yet"):
        store.open("survey")


@pytest.mark.req("REL-1")
def test_the_schema_must_bear_the_name_of_the_release(run: Run, schema_file: SchemaFile) -> None:
    output = run("create", "other", "--schema", schema_file(), "--title", "S", ok=False).output
    assert "describes 'survey', but the release is 'other'" in output
    output = run("create", "no-name", "--schema", schema_file(), "--title", "S", ok=False).output
    assert "cannot name a release" in output
    run("create", "survey", "--schema", schema_file(), "--title", "S")
    for name, words in (("TAP_SCHEMA", "a schema of the TAP standard"), ("Survey", "'survey'")):
        output = run("create", name, "--schema", schema_file(), "--title", "S", ok=False).output
        assert f"The name '{name}' is taken by" in output
        assert words in output


@pytest.mark.req("REL-1")
@pytest.mark.usefixtures("filled")
def test_broken_foreign_keys_are_found_when_asked_for(
    run: Run, tmp_path: Path, store: ReleaseStore
) -> None:
    run("check", "survey", "--foreign-keys")
    path = tmp_path / "more.parquet"
    pq.write_table(sources(800, of=502), path)
    run("ingest", "survey", "Source", path)
    run("check", "survey")
    output = run("publish", "survey", "--foreign-keys", ok=False).output
    assert "Source.objectId:" in output
    assert "name no row of Object (for example 50" in output
    assert store.current("survey") is None


@pytest.mark.req("REL-1")
def test_tables_come_from_a_butler(
    run: Run, store: ReleaseStore, schema_file: SchemaFile, tmp_path: Path
) -> None:
    from lsst.daf.butler import Butler, DatasetType

    repository = tmp_path / "repo"
    Butler.makeRepo(str(repository))
    with Butler.from_config(str(repository), run="sim/run") as butler:
        butler.registry.insertDimensionData("instrument", {"name": "Cam", "class_name": "Cam"})
        butler.registry.insertDimensionData(
            "detector", *[{"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in (1, 2)]
        )
        by_detector = butler.registry.dimensions.conform(["detector"])
        alone = butler.registry.dimensions.conform([])
        for name, dimensions in (
            ("object", alone),
            ("source", by_detector),
            ("visit_table", alone),
        ):
            butler.registry.registerDatasetType(DatasetType(name, dimensions, "ArrowTable"))
        butler.put(objects(50), "object")
        rows = sources(80, of=50)
        for detector in (2, 1):
            part = rows.slice((detector - 1) * 40, 40)
            butler.put(part, "source", instrument="Cam", detector=detector)
        butler.put(
            pa.table({"visit": [7], "begin": pa.array([1], pa.timestamp("us"))}), "visit_table"
        )
    run("create", "survey", "--schema", schema_file(), "--title", "S")
    wrong = run("ingest", "survey", "--butler", repository, "--collection", "nope", ok=False)
    assert "has no collection 'nope'; it has sim/run" in wrong.output
    output = run("ingest", "survey", "--butler", repository, "--collection", "sim/run").output
    assert "Ingested 3 tables, 131 rows" in output
    again = run("ingest", "survey", "--butler", repository, "--collection", "sim/run").output
    assert again.count("already ingested") == 3
    nothing = run("ingest", "survey", "--butler", tmp_path / "x", "--collection", "c", ok=False)
    assert "cannot be opened as a Butler repository" in nothing.output
    run("publish", "survey")
    assert store.open("survey").tables["Source"].nrows == 80
    late = run("ingest", "survey", "--butler", repository, "--collection", "sim/run", ok=False)
    assert "has no draft. Begin one: cerro release create survey" in late.output


@pytest.mark.req("REL-1")
def test_a_draft_may_stand_around_a_butler_and_takes_it_along(
    run: Run, store: ReleaseStore, schema_file: SchemaFile, files: dict[str, Path]
) -> None:
    from lsst.daf.butler import Butler

    repository = store.root / "survey/draft/butler"
    Butler.makeRepo(str(repository))
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    run("ingest", "survey", "Object", files["Object"])
    registry = repository / "gen3.sqlite3"
    aside = registry.rename(repository / "aside")
    broken = run("publish", "survey", ok=False)
    assert "cannot be opened as a Butler repository" in broken.output
    aside.rename(registry)
    run("publish", "survey")
    assert (store.open("survey").root / "butler/butler.yaml").is_file()


@pytest.mark.req("REL-1")
def test_references_to_other_schemas_are_filled_in(
    run: Run, store: ReleaseStore, tmp_path: Path
) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(SURVEY.replace("name: survey", "name: base", 1))
    schema = tmp_path / "schema.yaml"
    schema.write_text(
        "name: survey\nresources:\n  base: {uri: " + str(base) + "}\ntables:\n- name: T\n"
        "  columnRefs:\n    base:\n      Object:\n        flux:\n        ra:\n"
    )
    run("create", "survey", "--schema", schema, "--title", "S")
    base.unlink()
    columns = store.open("survey", "draft").tables["T"].columns
    assert [(c.name, c.unit) for c in columns] == [("flux", "nJy"), ("ra", "deg")]
