"""Releases in buckets are served like those in folders."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import duckdb
import httpx
import pytest
from pyarrow import parquet
from services.tests.objects.conftest import KEY, SECRET, Gate, answered
from services.tests.serving import running, working
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_services.config import ConfigError, Settings, load
from cerro_services.context import Context
from cerro_services.engine import EngineError
from cerro_services.objects import Bucket, Cache
from cerro_services.release import ReleaseStore, mirror
from cerro_services.release.draft import Drafts
from cerro_services.release.progress import Progress
from cerro_services.release.publish import Publisher
from cerro_services.release.push import push
from cerro_services.tap.availability import Availability
from cerro_services.tap.views import Views

Opened = Callable[..., Context]

CONE = "CONTAINS(POINT(ra, dec), CIRCLE({}, {}, {})) = 1"
QUERIES = {
    "a key": f"SELECT * FROM sky.Object WHERE objectId = {2**60 + 77}",
    "keys": f"SELECT * FROM sky.Object WHERE objectId IN ({2**60 + 5}, {2**60 + 29_999}, 3)",
    "a cone": f"SELECT * FROM sky.Object WHERE {CONE.format(0.1, 0.2, 0.5)}",
    "a pole": f"SELECT * FROM sky.Object WHERE {CONE.format(10, 90, 1)}",
    "a wide cone": f"SELECT objectId, kind, seen FROM sky.Object WHERE {CONE.format(0, 0, 60)}",
    "an empty cone": f"SELECT * FROM sky.Object WHERE {CONE.format(123.4, 56.7, 1e-4)}",
    "a scan": "SELECT objectId, flux, good FROM sky.Object WHERE flux > 150 AND n < 5",
    "all": "SELECT * FROM sky.Object",
    "a count": "SELECT COUNT(*) AS n FROM sky.Object",
    "groups": "SELECT kind, COUNT(*) AS n, MAX(n) AS most FROM sky.Object GROUP BY kind",
    "order": "SELECT TOP 50 objectId, flux FROM sky.Object ORDER BY flux DESC, objectId",
    "a join by key": "SELECT o.objectId, sourceId, mjd FROM sky.Object AS o JOIN sky.Source AS s"
    " ON o.objectId = s.objectId WHERE s.mjd < 60100",
    "a join by place": "SELECT a.objectId, s.sourceId FROM sky.Source AS s JOIN sky.Object AS a"
    " ON DISTANCE(POINT(a.ra, a.dec), POINT(s.ra, s.dec)) < 0.01",
    "no positions": "SELECT * FROM sky.Visit WHERE band = 'g'",
    "a subquery": "SELECT COUNT(*) AS n FROM sky.Source WHERE objectId IN"
    " (SELECT objectId FROM sky.Object WHERE n = 3)",
}


@pytest.mark.req("BUCKET-2")
def test_rows_are_those_of_the_folder(
    bucket: Bucket, store: ReleaseStore, opened: Opened, tmp_path: Path
) -> None:
    here = opened(store.root, home=tmp_path / "here")
    there = opened(bucket.url)
    for what, adql in QUERIES.items():
        expected = sorted(map(repr, answered(here, adql).to_pylist()))
        # What comes from the bucket, and what came before.
        for turn in ("cold", "warm"):
            rows = answered(there, adql)
            assert sorted(map(repr, rows.to_pylist())) == expected, f"{what}, {turn}"
            assert rows.schema.equals(answered(here, adql).schema), what


@pytest.mark.req("BUCKET-2")
def test_every_service_answers_from_a_bucket(
    bucket: Bucket, store: ReleaseStore, tmp_path: Path
) -> None:
    """Over HTTP, with an upload, and by a job in a worker's process, which shares the cache."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        home=tmp_path, releases=bucket.url, external_url=url, threads=2, memory="500MB"
    )
    upload = "name,ra,dec\nhere,0.0,0.0\nthere,180.0,89.5\n"
    query = (
        "SELECT u.name, COUNT(*) AS n FROM TAP_UPLOAD.mine AS u JOIN sky.Object AS o"
        " ON DISTANCE(POINT(o.ra, o.dec), POINT(u.ra, u.dec)) < 1 GROUP BY u.name ORDER BY u.name"
    )
    question = {"LANG": "ADQL", "QUERY": query, "FORMAT": "csv", "UPLOAD": "mine,param:up"}
    files = {"up": ("up.csv", upload, "text/csv")}
    with running(settings, port), working(settings):
        answer = httpx.post(f"{url}/api/tap/sync", data=question, files=files, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.text.startswith("name,n\r\nhere,"), answer.text
        made = httpx.post(f"{url}/api/tap/async", data={**question, "PHASE": "RUN"}, files=files)
        job = str(made.headers["Location"])
        done = httpx.get(f"{job}/phase", params={"WAIT": 60}, timeout=90).text
        eventually(lambda: httpx.get(f"{job}/phase").text == "COMPLETED", done)
        result = httpx.get(f"{job}/results/result", follow_redirects=True, timeout=60)
        assert result.text == answer.text
        cone = httpx.get(f"{url}/api/cone/sky/Object", params={"RA": 0, "DEC": 0, "SR": 0.5})
        assert "<TR>" in cone.text or "<BINARY" in cone.text, cone.text[:500]


def publish_again(store: ReleaseStore, folder: Path) -> ReleaseStore:
    """Give a copy of a store with a second version of ``sky``, of fewer visits."""
    shutil.copytree(store.root / "sky", folder / "sky")
    made = ReleaseStore(folder)
    shutil.copytree(folder / "sky" / "versions" / "1", folder / "sky" / "draft")
    (folder / "sky" / "draft" / "manifest.json").unlink()
    visits = parquet.read_table(next((folder / "sky/draft/catalogs/Visit").rglob("*.parquet")))
    parquet.write_table(visits.slice(0, 2), folder / "visits.parquet")
    Drafts(made).ingest("sky", "Visit", [folder / "visits.parquet"], again=True)
    Publisher(made).publish("sky")
    return made


@pytest.mark.req("BUCKET-3")
def test_a_new_version_is_noticed(
    bucket: Bucket, store: ReleaseStore, opened: Opened, tmp_path: Path
) -> None:
    context = opened(bucket.url, bucket_seconds=0.1)
    count = "SELECT COUNT(*) AS n FROM sky.Visit"
    assert answered(context, count).to_pylist() == [{"n": 5}]
    push(publish_again(store, tmp_path / "second"), "sky", bucket, Progress())
    eventually(lambda: context.store.published()[0].version == "2")
    assert answered(context, count).to_pylist() == [{"n": 2}]


@pytest.mark.req("BUCKET-3")
def test_nothing_is_asked_while_nothing_is_needed(
    bucket: Bucket, opened: Opened, gate: Gate
) -> None:
    context = opened(bucket.url, bucket_seconds=3600)
    adql = QUERIES["a cone"]
    rows = answered(context, adql)
    gate.shut()
    assert answered(context, adql).equals(rows)


@pytest.mark.req("BUCKET-4")
def test_a_bucket_that_is_gone_is_told_and_comes_back(
    bucket: Bucket,
    store: ReleaseStore,
    opened: Opened,
    gate: Gate,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(store.root / "closed", tmp_path / "local" / "closed")
    context = opened(f"{tmp_path / 'local'}, {bucket.url}", bucket_seconds=0.1)
    availability = Availability(context, Views())
    assert b"Every object store of releases answers." in availability.document()
    gate.shut()
    eventually(context.store.troubles, "the trouble is noticed")
    for adql in (QUERIES["a scan"], QUERIES["a cone"], QUERIES["a key"]):
        with pytest.raises(EngineError, match=r"sky\.Object could not be read from the object"):
            answered(context, adql)
    assert answered(context, "SELECT COUNT(*) AS n FROM closed.T").to_pylist() == [{"n": 3}]
    document = Availability(context, Views()).document()
    assert b"<availability:available>false" in document
    assert b"An object store does not give its releases." in document
    assert bucket.url.encode() not in document
    gate.is_open = True
    eventually(lambda: not context.store.troubles(), "the bucket is back")
    assert answered(context, "SELECT COUNT(*) AS n FROM sky.Object WHERE n < 99").num_rows == 1
    assert b"<availability:available>true" in Availability(context, Views()).document()


@pytest.mark.req("BUCKET-4")
@pytest.mark.req("BUCKET-7")
def test_refused_access_is_told_without_saying_who_asked(
    bucket: Bucket, s3: Any, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    name = bucket.url.removeprefix("s3://").split("/", 1)[0]
    context = opened(bucket.url, bucket_seconds=3600)
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                 "Resource": f"arn:aws:s3:::{name}/*"}  # fmt: skip
    policy = f'{{"Version": "2012-10-17", "Statement": [{json.dumps(statement)}]}}'
    s3.put_bucket_policy(Bucket=name, Policy=policy)
    caplog.set_level(logging.DEBUG)
    for adql in (QUERIES["a scan"], QUERIES["a cone"]):
        with pytest.raises(EngineError, match=r"sky\.Object could not be read") as raised:
            answered(context, adql)
        assert KEY not in str(raised.value)
    for one in context.store.mirrors:
        one.sync()
    assert any("access is refused" in trouble for trouble in context.store.troubles())
    assert "access is refused" in caplog.text
    assert KEY not in caplog.text
    assert SECRET not in caplog.text
    s3.delete_bucket_policy(Bucket=name)
    assert answered(context, QUERIES["a cone"]).num_rows > 0


@pytest.mark.req("BUCKET-4")
def test_a_service_starts_while_its_bucket_is_gone(
    bucket: Bucket, opened: Opened, gate: Gate
) -> None:
    """It knows the releases that it knew, and answers when the bucket is back."""
    opened(bucket.url)
    gate.shut()
    context = opened(bucket.url, bucket_seconds=0.1)
    assert [release.name for release in context.store.published()] == ["sky"]
    with pytest.raises(EngineError):
        answered(context, QUERIES["a count"])
    gate.is_open = True
    eventually(lambda: not context.store.troubles())
    assert answered(context, QUERIES["a count"]).to_pylist() == [{"n": 30_000}]


def objects_of(s3: Any, url: str, part: str) -> list[tuple[str, str]]:
    name, prefix = url.removeprefix("s3://").split("/", 1)
    listed = s3.list_objects_v2(Bucket=name, Prefix=prefix)["Contents"]
    return [(name, entry["Key"]) for entry in listed if part in entry["Key"]]


@pytest.mark.req("BUCKET-5")
@pytest.mark.parametrize("known", [True, False], ids=["while it is read", "before it was read"])
def test_a_replaced_object_gives_no_rows(
    bucket: Bucket, s3: Any, opened: Opened, *, known: bool
) -> None:
    """Even one of the same size, put there with a checksum of its own or none."""
    context = opened(bucket.url, bucket_seconds=3600)
    if known:
        assert answered(context, QUERIES["a cone"]).num_rows > 0
    originals = {}
    for number, (name, key) in enumerate(objects_of(s3, bucket.url, "catalogs/Object/dataset")):
        body = originals[name, key] = s3.get_object(Bucket=name, Key=key)["Body"].read()
        # Other rows in the same layout: every byte of the values may be another.
        forged = body[: len(body) // 2] + bytes(len(body) // 4)
        forged += body[len(forged) :]
        more = {"cerro-sha256": hashlib.sha256(forged).hexdigest()} if number % 2 else {}
        s3.put_object(Bucket=name, Key=key, Body=forged, Metadata=more)
    for adql in (QUERIES["all"], QUERIES["groups"], QUERIES["a wide cone"]):
        with pytest.raises(EngineError, match=r"sky\.Object could not be read"):
            answered(context, adql)
    for (name, key), body in originals.items():
        s3.put_object(Bucket=name, Key=key, Body=body)
    rows = eventually(lambda: _rows(context, QUERIES["all"]), "what was put back is read")
    assert rows == 30_000


def _rows(context: Context, adql: str) -> int:
    try:
        return answered(context, adql).num_rows
    except EngineError:
        return 0


@pytest.mark.req("BUCKET-5")
def test_a_forged_document_is_not_taken_over(bucket: Bucket, s3: Any, opened: Opened) -> None:
    for name, key in objects_of(s3, bucket.url, "release.yaml"):
        body = s3.get_object(Bucket=name, Key=key)["Body"].read()
        s3.put_object(Bucket=name, Key=key, Body=body.replace(b"data-rights", b"public"))
    context = opened(bucket.url)
    assert context.store.published() == ()
    assert any("is not what was published" in told for told in context.store.troubles())


def held(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*.parquet") if file.is_file())


@pytest.mark.req("BUCKET-6")
def test_the_cache_keeps_within_its_size(
    bucket: Bucket, store: ReleaseStore, opened: Opened, tmp_path: Path
) -> None:
    here = opened(store.root, home=tmp_path / "here")
    whole = sum(table.catalog.size for table in store.open("sky").tables.values())
    limit = whole // 3
    processes = [opened(bucket.url, cache_size=str(limit)) for _ in range(2)]
    for what in ("all", "a key", "groups", "a wide cone", "all"):
        adql = QUERIES[what]
        expected = sorted(map(repr, answered(here, adql).to_pylist()))
        for context in processes:
            assert sorted(map(repr, answered(context, adql).to_pylist())) == expected, what
    cache = processes[0].settings.cache
    assert held(cache) > 0
    # What was on its way when the last query ended comes yet; the next that fetches makes room.
    eventually(lambda: _trimmed(processes) <= limit)


def _trimmed(processes: list[Context]) -> int:
    for context in processes:
        for one in context.store.mirrors:
            one._cache.trim()
    return held(processes[0].settings.cache)


@pytest.mark.req("BUCKET-6")
def test_processes_that_start_at_once_share_a_folder(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have read the documents, and write them at the same moment."""
    together, read = Barrier(8), mirror.read_version

    def meet(*arguments: Any) -> mirror.Version:
        found = read(*arguments)
        together.wait(30)
        return found

    monkeypatch.setattr(mirror, "read_version", meet)
    made = [mirror.Mirror(bucket, Cache(tmp_path / "cache", 10**9)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(mirror.Mirror.sync, made))
    assert [one.trouble for one in made] == [None] * 8
    assert {len(one.store.published()) for one in made} == {1}


@pytest.mark.req("BUCKET-6")
def test_a_small_cone_fetches_little(bucket: Bucket, opened: Opened) -> None:
    context = opened(bucket.url)
    answered(context, f"SELECT objectId FROM sky.Visit AS v, sky.Object WHERE v.visit = 1 AND"
             f" objectId = {2**60 + 9}")  # fmt: skip
    table = context.store.published()[0].tables["Object"]
    assert held(context.settings.cache) < table.catalog.size


@pytest.mark.req("BUCKET-6")
def test_what_a_crash_of_the_machine_may_have_spoilt_is_forgotten(
    bucket: Bucket, opened: Opened
) -> None:
    context = opened(bucket.url)
    answered(context, QUERIES["all"])
    cache = context.settings.cache
    assert held(cache) > 0
    (cache / ".lock").write_bytes(b"another start of the machine")
    again = opened(bucket.url)
    assert held(cache) == 0
    assert answered(again, QUERIES["all"]).num_rows == 30_000


@pytest.mark.req("BUCKET-7")
def test_a_query_reaches_no_other_object(bucket: Bucket, opened: Opened) -> None:
    """Were SQL of an attacker run by the engine's own connection, it would still be refused."""
    context = opened(bucket.url)
    answered(context, QUERIES["all"])
    bucket.put("secret.parquet", b"PAR1", "")
    engine: Any = context.engine
    root = context.store.mirrors[0].root
    released = context.store.published()[0].tables["Object"].catalog.files[0].path
    tried = [
        f"cerro://{root}/secret.parquet",
        f"cerro://{root}/sky/versions/1/../../../secret.parquet",
        f"cerro://{root}/sky/versions/1/release.yaml",
        "cerro:///etc/passwd",
        f"{bucket.url}/secret.parquet",
        os.environ["AWS_ENDPOINT_URL"],
    ]
    for connection in (engine._wide, engine._little):
        for place in tried:
            with pytest.raises((duckdb.Error, OSError)), connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM read_parquet('{place}')").fetchall()
        with connection.cursor() as cursor:
            sql = f"SELECT COUNT(*) FROM read_parquet('cerro://{released}')"
            assert cursor.execute(sql).fetchall()[0][0] > 0
            with pytest.raises(duckdb.Error):
                cursor.execute(f"COPY (SELECT 1) TO 'cerro://{released}' (FORMAT parquet)")


@pytest.mark.req("BUCKET-7")
@pytest.mark.parametrize("place", [f"s3://{KEY}:{'hushword'}@bucket/x", "s3://"])
def test_a_wrong_address_is_refused_and_not_repeated(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CERRO_HOME", str(tmp_path))
    monkeypatch.setenv("CERRO_RELEASES", place)
    with pytest.raises(ConfigError) as raised:
        load()
    assert "s3://" in raised.value.message
    assert "hushword" not in raised.value.message
