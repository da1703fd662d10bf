"""Releases are pushed to buckets: whole, once, and compared with their checksums."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cerro_services.objects import Bucket, BucketError
from cerro_services.objects.bucket import DIGEST
from cerro_services.release import ReleaseStore
from cerro_services.release.cli import release
from cerro_services.release.errors import DamagedError, ReleaseError
from cerro_services.release.progress import Progress
from cerro_services.release.push import push

pytestmark = pytest.mark.req("BUCKET-1")


def cerro(*arguments: object) -> Result:
    return CliRunner().invoke(release, [str(argument) for argument in arguments])


def keys(s3: Any, url: str) -> dict[str, str]:
    bucket, prefix = url.removeprefix("s3://").split("/", 1)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found = [entry for page in pages for entry in page.get("Contents", [])]
    return {entry["Key"].removeprefix(f"{prefix}/"): entry["ETag"] for entry in found}


@pytest.fixture
def copy(store: ReleaseStore, tmp_path: Path) -> ReleaseStore:
    """Give a copy of the store, to be damaged."""
    shutil.copytree(store.root / "sky", tmp_path / "copy" / "sky")
    return ReleaseStore(tmp_path / "copy")


def test_all_files_of_the_version_are_there_and_current_names_it(
    url: str, s3: Any, store: ReleaseStore
) -> None:
    told = cerro("push", "sky", url, "--store", store.root)
    assert told.exit_code == 0, told.output
    assert f"Pushed sky, version 1, to {url}" in told.output
    folder = store.root / "sky" / "versions" / "1"
    files = {
        f"sky/versions/1/{path.relative_to(folder)}"
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert files
    assert set(keys(s3, url)) == files | {"sky/current"}


def test_what_is_there_is_not_sent_again(url: str, s3: Any, store: ReleaseStore) -> None:
    first = push(store, "sky", Bucket(url), Progress())
    before = keys(s3, url)
    again = push(store, "sky", Bucket(url), Progress())
    assert (again.files, again.bytes, again.before) == (0, 0, first.files)
    assert keys(s3, url) == before


class CutError(Exception):
    pass


def test_one_that_was_cut_off_is_seen_by_nobody_and_continued(
    url: str, s3: Any, store: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    whole = Bucket.put

    def few(self: Bucket, key: str, content: Path | bytes, digest: str) -> None:
        if len(sent) >= 5:
            raise CutError
        sent.append(key)
        whole(self, key, content, digest)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", few)
        with pytest.raises(CutError):
            push(store, "sky", Bucket(url), Progress())
    assert "sky/current" not in keys(s3, url)
    assert "sky/versions/1/manifest.json" not in keys(s3, url)
    assert "sky" not in cerro("list", "--store", url).output
    done = push(store, "sky", Bucket(url), Progress())
    assert done.before == len(sent)
    assert "sky" in cerro("list", "--store", url).output


def test_a_damaged_file_is_not_sent(url: str, s3: Any, copy: ReleaseStore) -> None:
    victim = next((copy.root / "sky").rglob("Npix=*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedError, match=f"{victim} has changed"):
        push(copy, "sky", Bucket(url), Progress())
    assert "sky/current" not in keys(s3, url)


def test_another_version_of_the_same_number_is_refused(
    bucket: Bucket, s3: Any, copy: ReleaseStore
) -> None:
    manifest = copy.root / "sky" / "versions" / "1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"published": "', '"published": "2'))
    before = keys(s3, bucket.url)
    with pytest.raises(ReleaseError, match="another version 1 of sky"):
        push(copy, "sky", bucket, Progress())
    assert keys(s3, bucket.url) == before


def test_an_older_version_does_not_become_current(
    bucket: Bucket, s3: Any, copy: ReleaseStore
) -> None:
    bucket.put("sky/current", b"7\n", "")
    assert push(copy, "sky", bucket, Progress()).current == "7"
    assert bucket.get("sky/current") == b"7\n"


def test_objects_carry_their_checksums(bucket: Bucket, store: ReleaseStore) -> None:
    catalog = store.open("sky").tables["Object"].catalog
    part = catalog.files[0]
    found = bucket.head(f"sky/versions/1/{part.path.relative_to(store.folder('sky', '1'))}")
    assert found is not None
    assert (found.size, found.digest) == (part.size, part.sha256)
    assert DIGEST == "cerro-sha256", "what was pushed before has it under this name"


@pytest.mark.req("BUCKET-2")
def test_a_bucket_is_listed_and_checked(bucket: Bucket, s3: Any, store: ReleaseStore) -> None:
    there, here = (
        json.loads(cerro("list", "--json", "--store", place).stdout)
        for place in (bucket.url, store.root)
    )
    assert there == [entry for entry in here if entry["name"] == "sky"]
    sound = cerro("check", "sky", "--store", bucket.url)
    assert "Object: 30,000 rows" in sound.output
    assert "sky (1) is sound." in sound.output
    name, key = _one_data_file(s3, bucket.url)
    s3.put_object(Bucket=name, Key=key, Body=b"something else")
    faulty = cerro("check", "sky", "--store", bucket.url)
    assert faulty.exit_code != 0
    assert f"s3://{name}/{key} is not what was published." in faulty.output


def _one_data_file(s3: Any, url: str) -> tuple[str, str]:
    name, prefix = url.removeprefix("s3://").split("/", 1)
    return name, f"{prefix}/{next(k for k in keys(s3, url) if 'Npix=' in k)}"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("s3://", "s3://bucket/prefix"),
        ("/somewhere", "s3://bucket/prefix"),
        (f"s3://{'AKIA'}:{'secretword'}@bucket/x", "told by the environment"),
        ("s3://nobody-has-this-bucket/x", "there is no such bucket"),
    ],
)
def test_a_wrong_place_is_told(place: str, told: str, s3: Any, store: ReleaseStore) -> None:
    result = cerro("push", "sky", place, "--store", store.root)
    assert result.exit_code != 0
    assert told in result.output
    assert "secretword" not in result.output
    assert "Traceback" not in result.output


def test_making_a_release_in_a_bucket_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERRO_RELEASES", url)
    assert "made in a folder and then pushed" in cerro("publish", "sky").output


@pytest.mark.req("BUCKET-4")
def test_an_unreachable_store_is_told_at_once(gate: Any, url: str, store: ReleaseStore) -> None:
    gate.shut()
    with pytest.raises(BucketError, match="cannot be reached"):
        push(store, "sky", Bucket(url), Progress())
