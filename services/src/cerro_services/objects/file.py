"""An object of which blocks lie in a sparse file here, fetched when they are needed.

Several processes share the file. Beside it lies one byte for each block, which says whether it is
there; it is set after the block was written. Who reads holds a lease, a shared lock of the file:
only a file that nobody holds is emptied.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cerro_services.objects.bucket import Bucket, BucketError, Entry, MissingError, ReplacedError

BLOCK = 32_768
MARKS = ".blocks"
"""Ending of the file that says which blocks are there."""
_HEADER = 256
_GAP = 4
"""Blocks between two that are needed which are sooner fetched than asked about apart."""
_RUN = 64
"""Blocks of a request at most."""
_FOOTER = 400
"""A file is so many times larger than its footer, or more. If it is not, that costs a request."""
_AGAIN = 2.0
"""Seconds until an object that was wrong is looked at again."""
_LONG_AGO = 946_684_800
"""When a file here was last changed, for all who ask: what was published never is [s]."""
_USED = 1.0
"""Seconds within which the use of a file is noted once."""


class CachedFile:
    """An object, and what of it lies here.

    Parameters
    ----------
    path
        Where.
    bucket, entry
        The object as it was listed.
    digest
        Its checksum as it was published.
    pool
        Fetches.
    grown
        Is told how many bytes came.

    Raises
    ------
    BucketError
        The object is not what was published.
    """

    def __init__(
        self,
        path: Path,
        bucket: Bucket,
        entry: Entry,
        digest: str,
        pool: ThreadPoolExecutor,
        grown: Callable[[int], None],
    ) -> None:
        self.path, self.key, self.size, self.digest = path, entry.key, entry.size, digest
        self._bucket, self._etag = bucket, entry.etag
        self._pool, self._grown = pool, grown
        self._lock = threading.Lock()
        self._flying: dict[int, Future[None]] = {}
        self._leases, self._used = 0, 0.0
        self._wrong: BucketError | None = None
        self._looked = 0.0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._data = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._noted = path.with_name(path.name + MARKS)
        marks = os.open(self._noted, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._marks = self._open(marks)
        finally:
            os.close(marks)

    def _open(self, marks: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        length = _HEADER + -(-self.size // BLOCK)
        fcntl.flock(self._data, fcntl.LOCK_EX)
        try:
            told = {"sha256": self.digest, "size": self.size}
            before = _header(os.pread(marks, _HEADER, 0))
            if {name: before.get(name) for name in told} != told:
                os.ftruncate(self._data, 0)
                os.ftruncate(marks, 0)
            elif before["etag"] != self._etag:
                self.renew()
            os.ftruncate(self._data, self.size)
            os.ftruncate(marks, length)
            text = json.dumps({**told, "etag": self._etag}).encode("ascii")
            os.pwrite(marks, text.ljust(_HEADER), 0)
        finally:
            fcntl.flock(self._data, fcntl.LOCK_UN)
        return np.frombuffer(mmap.mmap(marks, length), np.uint8)[_HEADER:]

    def __del__(self) -> None:
        if hasattr(self, "_data"):
            os.close(self._data)

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Keep what is here, and what comes, until the block ends."""
        with self._lock:
            if not self._leases:
                fcntl.flock(self._data, fcntl.LOCK_SH)
                now = time.monotonic()
                if now - self._used > _USED:
                    self._used = now
                    os.utime(self._noted)
            self._leases += 1
        try:
            yield
        finally:
            with self._lock:
                self._leases -= 1
                if not self._leases:
                    fcntl.flock(self._data, fcntl.LOCK_UN)

    def has(self, parts: Sequence[tuple[int, int]]) -> bool:
        """Whether some ranges of bytes are here. Hold a lease for it to stay so."""
        marks = self._marks
        return all(marks[a // BLOCK : -(-b // BLOCK)].all() for a, b in parts)

    def fetch(self, parts: Sequence[tuple[int, int]]) -> None:
        """Have some ranges of bytes here. Hold a lease for them to stay.

        Raises
        ------
        BucketError
            They cannot be had.
        """
        for future in self.begin(parts):
            future.result()

    def begin(self, parts: Sequence[tuple[int, int]]) -> list[Future[None]]:
        """Begin to fetch what is not here of some ranges of bytes.

        Returns
        -------
        list of Future
            What is being fetched, by this call or an earlier one.
        """
        if self.has(parts):
            return []
        wanted: list[int] = []
        for begin, end in parts:
            first = begin // BLOCK
            missing = np.flatnonzero(self._marks[first : -(-end // BLOCK)] == 0)
            wanted += (missing + first).tolist()
        with self._lock:
            found = {self._flying[block] for block in wanted if block in self._flying}
            # What came in the meantime is marked before it leaves the list of what is coming.
            rest = sorted({b for b in wanted if b not in self._flying and not self._marks[b]})
            for first, stop in _runs(rest):
                future = self._pool.submit(self._download, first, stop)
                self._flying |= dict.fromkeys(range(first, stop), future)
                found.add(future)
        return list(found)

    def marked(self, blocks: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
        """Whether some blocks are here."""
        return bool(self._marks[blocks].all())

    def pread(self, begin: int, end: int) -> bytes:
        """Give a range of bytes that is here. Hold a lease."""
        return os.pread(self._data, end - begin, begin)

    def begin_footer(self) -> list[Future[None]]:
        """Begin to fetch the end of the file, where the footer of Parquet is."""
        return self.begin([(self.footer_from, self.size)])

    def fetch_footer(self) -> None:
        """Have the footer of a Parquet file here. Hold a lease for it to stay."""
        self.fetch([(self.footer_from, self.size)])
        length = int.from_bytes(self.pread(self.size - 8, self.size - 4), "little") + 8
        self.fetch([(max(0, self.size - length), self.size)])

    @property
    def footer_from(self) -> int:
        """Where the footer of Parquet probably begins."""
        return max(0, self.size - self.size // _FOOTER - BLOCK)

    def check(self) -> None:
        """Make sure that the object is what was published, as far as is known.

        Raises
        ------
        BucketError
            It is not.
        """
        if self._wrong is None:
            return
        if time.monotonic() - self._looked > _AGAIN:
            self.renew()
        elif self._wrong is not None:
            raise self._wrong

    def seen(self, entry: Entry | None) -> None:
        """Heed how the object is listed now."""
        if entry is not None and self._wrong is None and entry.etag == self._etag:
            return
        self.renew()

    def renew(self) -> None:
        """Ask what the object is now; another one with the same content will do.

        Raises
        ------
        BucketError
            It is not what was published.
        """
        found = self._bucket.head(self.key)
        place = f"{self._bucket.url}/{self.key}"
        self._looked = time.monotonic()
        self._wrong = None
        if found is None:
            self._wrong = MissingError(f"{place} is not there.")
        elif found.size != self.size or self._content(found) != self.digest:
            self._wrong = ReplacedError(f"{place} is not what was published.")
        else:
            self._etag = found.etag
        if self._wrong is not None:
            raise self._wrong

    def _content(self, entry: Entry) -> str:
        if entry.digest:
            return entry.digest
        whole = hashlib.sha256()
        for piece in self._bucket.pieces(entry.key):
            whole.update(piece)
        return whole.hexdigest()

    def _download(self, first: int, stop: int) -> None:
        begin, end = first * BLOCK, min(stop * BLOCK, self.size)
        try:
            with self.lease():
                try:
                    data, digest = self._bucket.read(self.key, begin, end, self._etag)
                except ReplacedError:
                    self.renew()
                    data, digest = self._bucket.read(self.key, begin, end, self._etag)
                if digest not in {"", self.digest}:
                    self._looked = time.monotonic()
                    place = f"{self._bucket.url}/{self.key}"
                    self._wrong = ReplacedError(f"{place} is not what was published.")
                    raise self._wrong
                written = 0
                while written < len(data):
                    written += os.pwrite(self._data, data[written:], begin + written)
                # A database that keeps what it knows of files need not read it anew.
                os.utime(self._data, (_LONG_AGO, _LONG_AGO))
                self._marks[first:stop] = 1
        finally:
            with self._lock:
                for block in range(first, stop):
                    self._flying.pop(block, None)
        self._grown(len(data))


def _header(text: bytes) -> dict[str, object]:
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}


def _runs(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Join blocks into ranges that are fetched by one request each."""
    if not blocks:
        return
    first = last = blocks[0]
    for block in blocks[1:]:
        if block - last > _GAP or block - first >= _RUN:
            yield first, last + 1
            first = block
        last = block
    yield first, last + 1
