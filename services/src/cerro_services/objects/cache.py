"""The folder in which blocks of objects lie, and its bound."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cerro_services.objects.bucket import Bucket, Entry
from cerro_services.objects.file import MARKS, CachedFile

log = logging.getLogger(__name__)

_REQUESTS = 32
"""Requests at once, of one process."""
_STEPS, _STEP = 64, 64 << 20
"""It is looked whether the cache is full whenever this part of it, or this many bytes, came."""
_LEAVE = 0.9
"""What is left of a cache that was full."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Cache:
    """Blocks of objects, in a folder that several processes of one machine share.

    Parameters
    ----------
    folder
        The folder.
    limit
        Bytes that it may hold. What a query reads at that moment stays, even beyond that.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self._limit = folder, limit
        self._pool = ThreadPoolExecutor(_REQUESTS, thread_name_prefix="objects")
        self._lock = threading.Lock()
        self._come = 0
        self._step = min(limit // _STEPS, _STEP)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone(fcntl.LOCK_EX) as stream:
            self._after_boot(stream)

    def file(self, path: Path, bucket: Bucket, entry: Entry, digest: str) -> CachedFile:
        """Give what stands here for an object; see `CachedFile`."""
        return CachedFile(path, bucket, entry, digest, self._pool, self._grown)

    def close(self) -> None:
        """Fetch nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _after_boot(self, stream: int) -> None:
        """Forget everything if the machine was started since: marks may be of blocks never kept."""
        try:
            now = _BOOT.read_bytes()
        except OSError:
            now = b"unknown"
        if os.pread(stream, 64, 0) == now:
            return
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
        os.ftruncate(stream, 0)
        os.pwrite(stream, now, 0)

    @contextmanager
    def _alone(self, how: int) -> Iterator[int]:
        stream = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(stream, how)
            yield stream
        finally:
            os.close(stream)

    def _grown(self, count: int) -> None:
        with self._lock:
            self._come += count
            if self._come < self._step:
                return
            self._come = 0
        # Another process that trims does it for all.
        with contextlib.suppress(BlockingIOError), self._alone(fcntl.LOCK_EX | fcntl.LOCK_NB):
            self.trim()

    def trim(self) -> None:
        """Empty the files that were not used for longest, if there is more than there may be."""
        found = []
        for marks in self.folder.rglob(f"*{MARKS}"):
            path = marks.with_name(marks.name.removesuffix(MARKS))
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_blocks * 512
                found.append((marks.stat().st_mtime, size, path, marks))
        held = sum(size for _, size, _, _ in found)
        if held <= self._limit - 2 * self._step:
            return
        for _, size, path, marks in sorted(found):
            if held <= _LEAVE * self._limit - self._step:
                break
            if size and _empty(path, marks):
                held -= size


def _empty(path: Path, marks: Path) -> bool:
    """Empty a file, unless it is being read."""
    with path.open("r+b") as data, marks.open("r+b") as told:
        try:
            fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        size = os.fstat(data.fileno()).st_size
        head = os.pread(told.fileno(), 256, 0)
        length = os.fstat(told.fileno()).st_size
        os.pwrite(told.fileno(), bytes(length - len(head)), len(head))
        os.ftruncate(data.fileno(), 0)
        os.ftruncate(data.fileno(), size)
    return True
