"""Releases in a bucket, mirrored into a folder as far as they are needed.

The folder is a release store: the documents of each current version lie in it, whole and compared
with their checksums, and ``current`` is replaced last. Of the data files only what queries read
comes (`cerro_services.objects`). A bucket that cannot be reached leaves the mirror as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cerro_services.objects import (
    Bucket,
    BucketError,
    Cache,
    CachedFile,
    CachedPath,
    Entry,
    MissingError,
)
from cerro_services.release.errors import DamagedError, ReleaseError
from cerro_services.release.files import write_text
from cerro_services.release.hats import MANIFEST
from cerro_services.release.store import NAME, ReleaseStore

log = logging.getLogger(__name__)

_LISTED = 60.0
"""Seconds until the objects of a version are listed again."""


@dataclass(frozen=True)
class Version:
    """A version of a release as it lies in a bucket.

    Parameters
    ----------
    prefix
        Its folder in the bucket.
    documents
        What describes it, by name in the folder.
    digests, sizes
        Checksum and size of each data file, by name in the folder.
    """

    prefix: str
    documents: dict[str, bytes]
    digests: dict[str, str]
    sizes: dict[str, int]


def read_version(bucket: Bucket, name: str, version: str) -> Version:
    """Read what describes a version, and compare it with its checksums.

    Raises
    ------
    DamagedError
        Something is missing or is not as it was published.
    BucketError
        The bucket cannot be read.
    """
    prefix = f"{name}/versions/{version}"
    documents = {MANIFEST: _document(bucket, f"{prefix}/{MANIFEST}", None)}
    digests: dict[str, str] = {}
    sizes: dict[str, int] = {}
    try:
        whole: dict[str, Any] = json.loads(documents[MANIFEST])
        tables = {f"catalogs/{t}/{MANIFEST}": e["sha256"] for t, e in whole["tables"].items()}
        for path, digest in {**whole["files"], **tables}.items():
            documents[_inside(path)] = _document(bucket, f"{prefix}/{path}", digest)
        for path in tables:
            folder = PurePosixPath(path).parent
            for file in json.loads(documents[path])["files"]:
                place = _inside(f"{folder}/{file['path']}")
                digests[place], sizes[place] = file["sha256"], file["bytes"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{bucket.url}/{prefix}: a manifest cannot be read.") from error
    return Version(prefix, documents, digests, sizes)


def _document(bucket: Bucket, key: str, digest: str | None) -> bytes:
    found = bucket.get(key)
    if found is None:
        raise DamagedError(f"{bucket.url}/{key} is missing. Push the release again.")
    if digest is not None and hashlib.sha256(found).hexdigest() != digest:
        raise DamagedError(f"{bucket.url}/{key} is not what was published.")
    return found


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("a name that leads out of the release")
    return path


class Mirror:
    """The releases of a bucket.

    Parameters
    ----------
    bucket
        The bucket.
    cache
        Where what is needed of it is kept.
    """

    def __init__(self, bucket: Bucket, cache: Cache) -> None:
        self.url = bucket.url
        self._bucket, self._cache = bucket, cache
        folder = cache.folder / hashlib.sha256(bucket.url.encode()).hexdigest()[:16]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = CachedPath(folder.resolve(), source=self)
        self.store = ReleaseStore(self.root, place=bucket.url)
        self.trouble: str | None = None
        self._lock = threading.Lock()
        self._versions: dict[str, dict[str, Version]] = {}
        self._entries: dict[str, dict[str, Entry]] = {}
        self._listed: dict[str, float] = {}
        self._files: dict[str, CachedFile] = {}

    def file(self, path: CachedPath) -> CachedFile:
        """Give what stands for a data file.

        Raises
        ------
        BucketError
            The object is not there, or not as it was published.
        """
        place = str(path)
        found = self._files.get(place)
        if found is not None:
            return found
        key = path.relative_to(self.root).as_posix()
        name, _, version, inside = key.split("/", 3)
        known = self._known(name, version)
        if inside not in known.digests:
            raise BucketError(f"{self.url}/{key} is no data file.")
        entry = self._entries[known.prefix].get(key)
        if entry is None:
            raise MissingError(f"{self.url}/{key} is not there.")
        if entry.size != known.sizes[inside]:
            raise BucketError(f"{self.url}/{key} is not of the size that was published.")
        with self._lock:
            found = self._files.get(place)
            if found is None:
                digest = known.digests[inside]
                found = self._cache.file(Path(place), self._bucket, entry, digest)
                self._files[place] = found
        return found

    def sync(self) -> None:
        """Take over what is new in the bucket; note in `trouble` what cannot be read of it."""
        trouble: str | None = None
        try:
            names = [name for name in self._bucket.folders() if NAME.fullmatch(name)]
            for name in names:
                try:
                    self._sync_one(name)
                except ReleaseError as error:
                    trouble = error.message
                    log.warning("Release %s of %s: %s", name, self.url, error.message)
            for gone in set(self.store.names()) - set(names):
                (self.root / gone / "current").unlink(missing_ok=True)
        except OSError as error:
            trouble = str(error)
        if trouble and trouble != self.trouble:
            log.warning("%s", trouble)
        elif self.trouble and not trouble:
            log.info("%s is read again.", self.url)
        self.trouble = trouble

    def _known(self, name: str, version: str) -> Version:
        """Give a version; one that another process took over is learned first."""
        with self._lock:
            found = self._versions.get(name, {}).get(version)
        if found is not None:
            return found
        try:
            found = read_version(self._bucket, name, version)
        except DamagedError as error:
            raise BucketError(error.message) from error
        self._list(found)
        with self._lock:
            return self._versions.setdefault(name, {}).setdefault(version, found)

    def _sync_one(self, name: str) -> None:
        current = self._bucket.get(f"{name}/current")
        here = self.root / name / "current"
        if current is None:
            here.unlink(missing_ok=True)
            return
        version = current.decode("ascii", "replace").strip()
        if not version.isdigit():
            raise DamagedError(f"{self.url}/{name}/current names no version.")
        known = self._versions.get(name, {}).get(version)
        if known is not None and time.monotonic() - self._listed[known.prefix] > _LISTED:
            self._list(known)
        before = self.store.current(name)
        if known is None or before != version:
            found = known or read_version(self._bucket, name, version)
            with self._alone():
                self._write(self.root / name / "versions" / version, found)
            if known is None:
                self._list(found)
            with self._lock:
                self._versions.setdefault(name, {})[version] = found
        with self._alone():
            before = self.store.current(name)
            if before != version:
                write_text(here, f"{version}\n")
                self._forget(name, {before, version})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Write to the folder while no other process does."""
        with Path(self.root / ".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _list(self, version: Version) -> None:
        entries = self._bucket.entries(f"{version.prefix}/")
        self._entries[version.prefix] = entries
        self._listed[version.prefix] = time.monotonic()
        folder = self.root / version.prefix
        for path in version.digests:
            file = self._files.get(str(folder / path))
            if file is not None:
                try:
                    file.seen(entries.get(f"{version.prefix}/{path}"))
                except BucketError as error:
                    log.warning("%s", error)

    def _write(self, folder: Path, version: Version) -> None:
        for path, content in version.documents.items():
            target = folder / path
            if not target.is_file() or target.read_bytes() != content:
                write_text(target, content.decode("utf-8"))

    def _forget(self, name: str, kept: set[str | None]) -> None:
        """Drop versions before the last: whoever still reads one holds its files open."""
        for old in set(self.store.versions(name)) - kept:
            folder = self.root / name / "versions" / old
            with self._lock:
                self._versions[name].pop(old, None)
                for place in [p for p in self._files if p.startswith(f"{folder}/")]:
                    del self._files[place]
            shutil.rmtree(folder, ignore_errors=True)
