"""A full disk gives a clear message and leaves what is published as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.support.disks import small_disk

from cerro_services.release import ReleaseStore

from .conftest import Run, objects, only

SIZE = 3 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReleaseStore]:
    """Give a store on a disk of a few megabytes."""
    with small_disk(tmp_path / "small", SIZE, needed=True) as folder:
        yield ReleaseStore(folder / "releases")


@pytest.mark.req("REL-7")
def test_a_disk_that_fills_during_an_ingest(
    run: Run, store: ReleaseStore, schema_file: Callable[..., Path], tmp_path: Path
) -> None:
    small, large = tmp_path / "small.parquet", tmp_path / "large.parquet"
    pq.write_table(objects(2_000), small)
    pq.write_table(objects(150_000), large)
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    run("ingest", "survey", "Object", small)
    run("publish", "survey")
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "Larger")
    run("ingest", "survey", "Object", small)
    for memory in ("384", "16"):
        output = run("ingest", "survey", "Object", large, "--memory", memory, ok=False).output
        assert f"The disk that holds {store.root / 'survey'} is full" in output
        assert "Free some space there" in output
        (release,) = ReleaseStore(store.root).published()
        assert (release.version, release.tables["Object"].nrows) == ("1", 2_000)
        # The draft keeps the table that it had, and gives back what was half written.
        assert store.open("survey", "draft").tables["Object"].nrows == 2_000
        names = {p.name for p in (store.root / "survey/draft/catalogs").iterdir()}
        assert names == {"Object"}
    run("check", "survey")
    run("publish", "survey")


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


@pytest.mark.req("REL-7")
def test_a_disk_that_is_full_when_publishing(
    run: Run, store: ReleaseStore, schema_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(objects(2_000), path)
    run("create", "survey", "--schema", schema_file(only("Object")), "--title", "S")
    run("ingest", "survey", "Object", path)
    filler = store.root.parent / "filler"
    with pytest.raises(OSError, match="No space"):
        fill(filler)
    assert "is full" in run("publish", "survey", ok=False).output
    assert store.published() == ()
    assert store.versions("survey") == []
    filler.unlink()
    run("publish", "survey")
    assert store.open("survey").tables["Object"].nrows == 2_000
