"""Publishing is atomic and can be resumed, wherever a process is killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cerro_services.release import ReleaseStore, SchemaError

from . import crash
from .conftest import Run, objects, only

SchemaFile = Callable[..., Path]


@pytest.fixture(scope="module")
def processes() -> BaseContext:
    """Start processes that have imported everything, so that each takes milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["cerro_services.release.publish", "cerro_services.release.writer", "felis", crash.__name__]
    )
    return context


@pytest.fixture
def draft(run: Run, schema_file: SchemaFile, tmp_path: Path) -> Path:
    """Make a draft ready to be published, and give the file it was made of."""
    path = tmp_path / "objects.parquet"
    pq.write_table(objects(400), path)
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "First")
    run("ingest", "survey", "Object", path)
    return path


def end_of(process: multiprocessing.process.BaseProcess) -> int | None:
    process.start()
    process.join(120)
    return process.exitcode


@pytest.mark.req("REL-4")
def test_killed_while_publishing_the_old_or_the_new_version_stands(
    run: Run,
    store: ReleaseStore,
    schema_file: SchemaFile,
    *,
    draft: Path,
    tmp_path: Path,
    processes: BaseContext,
) -> None:
    run("publish", "survey")
    more = tmp_path / "more.parquet"
    pq.write_table(objects(700), more)
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "Second")
    run("ingest", "survey", "Object", more)
    before = tmp_path / "before"
    shutil.copytree(store.root, before, copy_function=os.link)
    seen = set()
    for step in range(100):
        process = processes.Process(target=crash.publish_dying, args=(str(store.root), step))
        code = end_of(process)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        (release,) = store.published()
        seen.add(release.version)
        rows = sum(
            pq.read_metadata(f.path).num_rows for f in release.tables["Object"].catalog.files
        )
        assert (release.version, rows, release.title) in {("1", 400, "First"), ("2", 700, "Second")}
        if release.version == "1":
            run("publish", "survey")
        assert store.open("survey").version == "2"
        assert store.versions("survey") == ["1", "2"]
        assert not store.has_draft("survey")
        run("check", "survey")
        shutil.rmtree(store.root)
        shutil.copytree(before, store.root, copy_function=os.link)
    assert step > 8
    assert seen == {"1", "2"}


@pytest.mark.req("REL-4")
def test_killed_while_ingesting_the_table_is_old_or_new(
    run: Run, store: ReleaseStore, draft: Path, tmp_path: Path, processes: BaseContext
) -> None:
    more = tmp_path / "more.parquet"
    pq.write_table(objects(700), more)
    # A table is written in many steps, all alike; the few when it takes its place are all tried.
    steps = processes.Value("i")
    arguments = (str(store.root), str(more), 10_000, steps)
    assert end_of(processes.Process(target=crash.ingest_dying, args=arguments)) == 0
    assert steps.value > 9
    run("ingest", "survey", "Object", draft)
    aside, placed = "Object.old", "catalogs/Object"
    moments = [(step, "") for step in range(0, steps.value, 9)]
    moments += [(step, after) for after in (aside, placed) for step in (0, 1)]
    seen = {}
    for step, after in moments:
        args = (str(store.root), str(more), step, None, after)
        code = end_of(processes.Process(target=crash.ingest_dying, args=args))
        if code == 0:
            run("ingest", "survey", "Object", draft)
            continue
        assert code == -signal.SIGKILL
        rows = store.open("survey", "draft").tables["Object"].nrows
        seen[step, after] = rows
        # Between the two renames of a replacement there is no table; the next command mends it.
        assert rows in {400, 700, 0}
        run("ingest", "survey", "Object", draft)
        assert store.open("survey", "draft").tables["Object"].nrows == 400
        hidden = [
            p.name for p in (store.root / "survey/draft/catalogs").iterdir() if p.name[0] == "."
        ]
        assert hidden == []
        run("check", "survey")
    assert seen[0, ""] == 400
    assert seen[0, aside] == 0
    assert seen[0, placed] == 700


@pytest.mark.req("REL-4")
def test_what_is_complete_is_not_ingested_again(run: Run, store: ReleaseStore, draft: Path) -> None:
    file = store.open("survey", "draft").tables["Object"].catalog.files[0].path
    inode = file.stat().st_ino
    assert "already ingested, 400 rows" in run("ingest", "survey", "Object", draft).output
    assert file.stat().st_ino == inode
    pq.write_table(objects(401), draft)
    assert "401 rows" in run("ingest", "survey", "Object", draft).output


@pytest.mark.req("REL-4")
def test_two_writers_do_not_meet(
    run: Run, store: ReleaseStore, draft: Path, processes: BaseContext
) -> None:
    ready, done = processes.Event(), processes.Event()
    process = processes.Process(target=crash.hold, args=(str(store.root), ready, done))
    process.start()
    assert ready.wait(60)
    for command in (("ingest", "survey", "Object", draft, "--again"), ("publish", "survey")):
        output = run(*command, ok=False).output
        assert f"is being written by process {process.pid} on" in output
        assert "(ingest of Object)" in output
    done.set()
    process.join(60)
    run("publish", "survey")


@pytest.mark.req("REL-4")
def test_a_table_without_data_is_not_published_unless_told(
    run: Run, store: ReleaseStore, schema_file: SchemaFile, draft: Path
) -> None:
    run("create", "survey", "--schema", schema_file(), "--title", "All")
    output = run("publish", "survey", ok=False).output
    assert "tables without data: Source, Visit" in output
    assert store.current("survey") is None
    run("publish", "survey", "--allow-empty")
    tables = store.open("survey").tables
    assert {name: t.nrows for name, t in tables.items()} == {"Object": 400, "Source": 0, "Visit": 0}
    for table in tables.values():
        names = {c.name for c in table.columns}
        assert names <= set(pq.read_schema(table.catalog.files[0].path).names)


@pytest.mark.req("REL-4")
def test_a_schema_changed_after_the_ingest_is_noticed(
    run: Run, schema_file: SchemaFile, draft: Path
) -> None:
    better = only("Object").replace("ivoa:unit: nJy", "ivoa:unit: mag")
    run("create", "survey", "--schema", schema_file(better), "--title", "Units are words")
    run("check", "survey")
    other = better.replace("datatype: float", "datatype: double")
    run("create", "survey", "--schema", schema_file(other), "--title", "Types are bytes")
    output = run("publish", "survey", ok=False).output
    assert "Table Object: the schema has changed since its rows were ingested" in output
    run("ingest", "survey", "Object", draft)
    run("publish", "survey")


@pytest.mark.req("REL-4")
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: f.unlink(), "is missing"),
        (lambda f: f.write_bytes(f.read_bytes()[:-9]), "bytes, not"),
        (lambda f: f.write_bytes(f.read_bytes().replace(b"PAR1", b"PAR2")), "checksum differs"),
    ],
    ids=["missing", "cut", "changed"],
)
def test_damage_to_a_draft_is_found_before_it_is_published(
    run: Run, store: ReleaseStore, draft: Path, damage: Callable[[Path], object], words: str
) -> None:
    file = store.open("survey", "draft").tables["Object"].catalog.files[0].path
    damage(file)
    output = run("publish", "survey", ok=False).output
    assert words in output
    assert file.name in output
    assert store.current("survey") is None
    run("ingest", "survey", "Object", draft, "--again")
    run("publish", "survey")


@pytest.mark.req("REL-4")
def test_a_damaged_release_hides_itself_and_no_other(
    run: Run, store: ReleaseStore, schema_file: SchemaFile, draft: Path
) -> None:
    run("publish", "survey")
    text = only("Visit").replace("name: survey", "name: other", 1)
    run("create", "other", "--schema", schema_file(text), "--title", "Other")
    run("publish", "other", "--allow-empty")
    assert [r.name for r in store.published()] == ["other", "survey"]
    (store.root / "survey/versions/1/release.yaml").write_text("title: [")
    fresh = ReleaseStore(store.root)
    assert [r.name for r in fresh.published()] == ["other"]
    assert "damaged" in run("list").output
    (store.root / "other/versions/1/schema/other.yaml").write_text("- nothing")
    with pytest.raises(SchemaError):
        fresh.open("other")


@pytest.mark.req("REL-4")
def test_a_change_of_what_is_published_is_found(run: Run, store: ReleaseStore, draft: Path) -> None:
    run("publish", "survey")
    run("check", "survey", "--version", "1")
    about = store.open("survey").root / "release.yaml"
    about.write_text(about.read_text().replace("public", "staff"))
    output = run("check", "survey", ok=False).output
    assert "release.yaml has changed since it was published" in output
