"""Scans of files in an object store.

Where all that a scan reads lies here already, DuckDB reads the files as any others. Else it reads
them through Python, which fetches what is asked for; a thread goes ahead of it, so that many
requests are on their way at a time, but no further than `_WINDOW`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from fsspec.spec import AbstractFileSystem

from cerro_services.engine.coverage import Ranges
from cerro_services.engine.extents import is_here, layout
from cerro_services.engine.reading import REMOTE, Reading
from cerro_services.objects import CachedPath
from cerro_services.release import SPATIAL_INDEX

_WINDOW = 48 << 20
"""Bytes that are fetched ahead of a scan at most."""
_FOOTERS = 16
"""Files whose footers are fetched ahead."""
_LOOK = 0.25
"""How often it is looked whether who waits for an object was stopped [s]."""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class RemoteScans(AbstractFileSystem):  # type: ignore[misc]
    """Files of object stores, as DuckDB reads them.

    Parameters
    ----------
    roots
        Folders in which buckets are mirrored.
    """

    protocol = REMOTE
    cachable = False

    def __init__(self, roots: Sequence[CachedPath]) -> None:
        super().__init__()
        self._roots = tuple(roots)
        self._lock = threading.Lock()
        self._ahead: dict[str, list[tuple[_ReadAhead, int]]] = {}

    def scan(self, reading: Reading, held: ExitStack, stopped: Callable[[], bool]) -> Reading:
        """Make a reading ready to run.

        Parameters
        ----------
        reading
            What a scan has to read.
        held
            Takes what must be given back when its rows are no longer read.
        stopped
            Whether the query was stopped.

        Returns
        -------
        Reading
            The reading as it runs best now.
        """
        paths = [path for path in reading.paths if isinstance(path, CachedPath)]
        if not paths:
            return reading
        columns = (*reading.columns, *([] if reading.ranges is None else [SPATIAL_INDEX]))
        with ExitStack() as leases:
            for path in paths:
                leases.enter_context(path.file.lease())
            if all(is_here(path, columns) for path in paths):
                held.push(leases.pop_all())
                return replace(reading, sql=reading.sql.replace(f"'{REMOTE}://", "'"))
        ahead = _ReadAhead(paths, columns, reading.ranges, stopped)
        held.callback(self._forget, ahead, paths)
        with self._lock:
            for number, path in enumerate(paths):
                self._ahead.setdefault(str(path), []).append((ahead, number))
        ahead.start()
        return reading

    def _forget(self, ahead: _ReadAhead, paths: Sequence[CachedPath]) -> None:
        ahead.stop()
        with self._lock:
            for path in map(str, paths):
                left = [entry for entry in self._ahead[path] if entry[0] is not ahead]
                if left:
                    self._ahead[path] = left
                else:
                    del self._ahead[path]

    def reached(self, path: CachedPath, offset: int) -> bool:
        """Note how far a file is read; false if who reads it was stopped."""
        scans = self._ahead.get(str(path), ())
        # The footer is read first, and says nothing of how far a scan is.
        if offset < path.file.footer_from:
            for ahead, number in scans:
                ahead.reached(number, offset)
        return not scans or not all(ahead.stopped for ahead, _ in scans)

    def open(self, path: str, *_: Any, **__: Any) -> _Handle:
        """Open a file for reading."""
        return _Handle(self, self._located(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe a file."""
        return {"name": path, "size": self._located(path).file.size, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Whether there is such a file."""
        return self._located(path).file.size > 0

    def glob(self, path: str, **_: Any) -> list[str]:
        """Give the one file of a name: names are no patterns."""
        return [path]

    def modified(self, path: str) -> datetime:
        """Say when a file was last changed, which no published file ever is."""
        del path
        return _LONG_AGO

    def _located(self, path: str) -> CachedPath:
        name = "/" + path.removeprefix(f"{REMOTE}://").lstrip("/")
        for root in self._roots:
            if name.startswith(f"{root}/") and ".." not in name:
                return root.with_segments(name)
        raise FileNotFoundError("There is no such file.")


class _Handle:
    """A file that is open."""

    closed = False

    def __init__(self, scans: RemoteScans, path: CachedPath) -> None:
        self._scans, self._path, self._file = scans, path, path.file
        self.size = self._file.size
        self._at = threading.local()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, counted from the beginning, the place reached, or the end."""
        self._at.place = offset + (0, self.tell(), self.size)[whence]
        return self.tell()

    def tell(self) -> int:
        """Say which place was reached."""
        return int(getattr(self._at, "place", 0))

    def read(self, count: int = -1) -> bytes:
        """Read so many bytes; all if the number is negative."""
        begin = self.tell()
        end = self.size if count < 0 else min(self.size, begin + count)
        if end <= begin:
            return b""
        with self._file.lease():
            waiting = self._file.begin([(begin, end)])
            wanted = self._scans.reached(self._path, begin)
            while waiting:
                done, left = wait(waiting, _LOOK)
                for future in done:
                    future.result()
                waiting = list(left)
                wanted = self._scans.reached(self._path, begin)
                if waiting and not wanted:
                    raise OSError("The query was stopped.")
            data = self._file.pread(begin, end)
        self._at.place = end
        return data

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def close(self) -> None:
        """Close the file, which costs nothing."""


class _ReadAhead:
    """Fetches what a scan will read, a little ahead of it."""

    def __init__(
        self,
        paths: Sequence[CachedPath],
        columns: tuple[str, ...],
        ranges: Ranges | None,
        stopped: Callable[[], bool],
    ) -> None:
        self._paths, self._columns, self._ranges = paths, columns, ranges
        self._cancelled, self._over = stopped, False
        self._changed = threading.Condition()
        self._place = (0, 0)
        self._coming: deque[tuple[tuple[int, int], int]] = deque()
        self._bytes = 0

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for rows any more."""
        return self._over or self._cancelled()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="read-ahead", daemon=True).start()

    def stop(self) -> None:
        """Fetch nothing more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def reached(self, number: int, offset: int) -> None:
        """Note that a place of a file is being read."""
        with self._changed:
            if (number, offset) <= self._place:
                return
            self._place = number, offset
            while self._coming and self._coming[0][0] <= self._place:
                self._bytes -= self._coming.popleft()[1]
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for number, path in enumerate(self._paths):
                for near in self._paths[number : number + _FOOTERS]:
                    near.file.begin_footer()
                where = layout(path)
                leaves = [leaf for name in self._columns for leaf in where.leaves.get(name, ())]
                for group in where.groups(self._ranges):
                    parts = list(
                        zip(
                            where.begins[group, leaves].tolist(),
                            where.ends[group, leaves].tolist(),
                            strict=True,
                        )
                    )
                    if not self._room((number, min(a for a, _ in parts)), parts):
                        return
                    path.file.begin(parts)
        except (OSError, pa.ArrowException):
            # Who reads it finds out and says so.
            return

    def _room(self, place: tuple[int, int], parts: Sequence[tuple[int, int]]) -> bool:
        """Wait until these parts may be fetched; false if they are not needed any more."""
        size = sum(b - a for a, b in parts)
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._bytes < _WINDOW)
            if place > self._place:
                self._coming.append((place, size))
                self._bytes += size
            return not self.stopped
