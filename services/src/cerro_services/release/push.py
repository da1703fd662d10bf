"""``cerro release push``: a published version is copied to a bucket, file by file, then seen.

Each file is compared with its checksum before it is sent, and the store compares what it received.
What describes the version follows when all data are there, and ``current`` is replaced last, so
that whoever reads the bucket sees the old version or the new one. A push that was cut off is
repeated: what lies in the bucket with the same checksum is not sent again. Nothing is deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from cerro_services.objects import Bucket
from cerro_services.release.errors import DamagedError, ReleaseError
from cerro_services.release.files import human_size, sha256
from cerro_services.release.hats import MANIFEST
from cerro_services.release.manifest import TableManifest
from cerro_services.release.mirror import read_version
from cerro_services.release.progress import Progress
from cerro_services.release.store import ReleaseStore

_AT_ONCE = 4
"""Files that are sent, or compared, at once."""


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Parameters
    ----------
    version
        The version that was pushed.
    files, bytes
        What was sent.
    before
        Files that the bucket had already.
    current
        The version that readers of the bucket see now.
    """

    version: str
    files: int
    bytes: int
    before: int
    current: str


def push(
    store: ReleaseStore, name: str, bucket: Bucket, progress: Progress, version: str | None = None
) -> Pushed:
    """Copy a published version to a bucket, and let it be the current one there.

    Parameters
    ----------
    store
        Where it lies.
    name
        Name of the release.
    bucket
        Where to.
    progress
        Where to say how far it is.
    version
        The version; by default the current one. An older one than the bucket's current version is
        copied, and that stays current.

    Raises
    ------
    ReleaseError
        There is no such version, it is damaged, or the bucket has another one of its number.
    BucketError
        The bucket cannot be read or written.
    """
    chosen = version or store.current(name)
    if chosen is None or not chosen.isdigit():
        raise ReleaseError(f"Release {name!r} has no published version. Publish it first.")
    folder = store.folder(name, chosen)
    data, documents = _files(folder)
    prefix = f"{name}/versions/{chosen}"
    manifest = (folder / MANIFEST).read_bytes()
    there = bucket.get(f"{prefix}/{MANIFEST}")
    if there is not None and there != manifest:
        raise ReleaseError(
            f"{bucket.url}/{prefix} is another version {chosen} of {name}. Nothing was changed; "
            "push to another prefix."
        )
    listed = bucket.entries(f"{prefix}/")
    total, sent, size = len(data) + len(documents) + 1, 0, 0

    def one(path: str, digest: str | None) -> int:
        file, key = folder / path, f"{prefix}/{path}"
        found = sha256(file)
        if digest is not None and found != digest:
            raise DamagedError(f"{file} has changed since it was published. Nothing more is sent.")
        entry = listed.get(key)
        if entry is not None and entry.size == file.stat().st_size:
            known = bucket.head(key)
            if known is not None and known.digest == found:
                return 0
        bucket.put(key, file, found)
        return file.stat().st_size

    done = 0
    for part in (data, documents, {MANIFEST: None}):
        for count in _each(one, part.items()):
            done += 1
            sent += count > 0
            size += count
            progress.step(f"Sending {name}, {human_size(size)} so far", done, total, "files")
    read_version(bucket, name, chosen)
    there = bucket.get(f"{name}/current")
    current = there.decode("ascii", "replace").strip() if there else ""
    if not current.isdigit() or int(current) < int(chosen):
        text = f"{chosen}\n".encode("ascii")
        bucket.put(f"{name}/current", text, hashlib.sha256(text).hexdigest())
        current = chosen
    return Pushed(chosen, sent, size, total - sent, current)


def verify(
    bucket: Bucket, name: str, version: str, progress: Progress
) -> tuple[dict[str, int], list[str]]:
    """Read a version in a bucket and compare all of it with its checksums.

    Parameters
    ----------
    bucket
        The bucket.
    name, version
        What to verify.
    progress
        Where to say how far it is.

    Returns
    -------
    dict of int and list of str
        Rows of each table, and what is wrong, one line each.
    """
    try:
        found = read_version(bucket, name, version)
        tables = json.loads(found.documents[MANIFEST])["tables"]
    except ReleaseError as error:
        return {}, [error.message]
    listed = bucket.entries(f"{found.prefix}/")

    def one(path: str, digest: str) -> str | None:
        key = f"{found.prefix}/{path}"
        if key not in listed:
            return f"{bucket.url}/{key} is missing."
        whole = hashlib.sha256()
        for piece in bucket.pieces(key):
            whole.update(piece)
        same = whole.hexdigest() == digest
        return None if same else f"{bucket.url}/{key} is not what was published."

    problems = []
    for number, problem in enumerate(_each(one, found.digests.items()), 1):
        progress.step(f"Reading {name}", number, len(found.digests), "files")
        if problem:
            problems.append(problem)
    return {table: int(entry["rows"]) for table, entry in tables.items()}, problems


def _each[D, T](work: Callable[[str, D], T], items: Iterable[tuple[str, D]]) -> Iterable[T]:
    """Do some work for several files at once, and give what came of it; stop at a failure."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        left = {pool.submit(work, path, digest) for path, digest in items}
        try:
            while left:
                done, left = wait(left, timeout=1.0, return_when=FIRST_EXCEPTION)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _files(folder: Path) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Give the data files of a version and what describes it, with checksums where known."""
    data: dict[str, str | None] = {}
    documents: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if not path.is_file() or place == MANIFEST or _is_hidden(path.relative_to(folder).parts):
            continue
        described = place.startswith("schema/") or path.name == MANIFEST or "/" not in place
        (documents if described else data)[place] = None
    for place in [p for p in documents if p.endswith(f"/{MANIFEST}")]:
        table = TableManifest.read((folder / place).parent)
        for file in table.files if table else ():
            inside = (Path(place).parent / file.path).as_posix()
            if inside not in data:
                raise DamagedError(f"{folder / inside} is missing. Nothing was sent.")
            data[inside] = file.sha256
    whole = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    documents |= whole["files"]
    return data, documents


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)
