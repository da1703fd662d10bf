"""The mapped files that a service keeps, and whether they are as they were published."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from cerro_services.engine.mapped import ChangedError, MappedFile, Stamp, stamp_of
from cerro_services.release.hats import Catalog

_KEPT = 256
"""Column chunks, of a quarter of a megabyte, whose pages stay mapped."""
_CHUNKS = 100_000
"""Column chunks whose place is remembered, over all files; each takes about a kilobyte."""


class Files:
    """The mapped files, the most recently used of them kept.

    Parameters
    ----------
    opened
        Maps a file, given the column that it is sorted by.
    """

    def __init__(self, opened: Callable[[Path, str], MappedFile] = MappedFile) -> None:
        self._opened = opened
        self._lock = Lock()
        self._stamps: dict[Path, Stamp] = {}
        self._wrong: dict[Path, Stamp] = {}
        self._known: OrderedDict[tuple[Path, str], MappedFile] = OrderedDict()
        self._read = 0
        self._chunks = 0

    def check(self, catalog: Catalog, paths: Iterable[Path]) -> None:
        """Make sure that files of a table are as they were published, as far as is seen from afar.

        Raises
        ------
        OSError
            One is missing, has another size than the table's manifest says, or was written to
            since it was first read and does not hold what it held.
        """
        for path in paths:
            stamp = stamp_of(path)
            if stamp == self._stamps.get(path):
                continue
            size = catalog.sizes.get(path, stamp[0])
            whole = stamp[0] == size and stamp != self._wrong.get(path)
            if not whole or (path in self._stamps and not catalog.holds(path)):
                self._wrong[path] = stamp
                raise ChangedError(f"{path} has changed since it was published.")
            # First seen, or brought back from a copy.
            self._stamps[path] = stamp

    def note(self, chunks: int) -> None:
        """Note that column chunks were read, and give their pages back once they are many.

        Parameters
        ----------
        chunks
            Number of column chunks that were read, wholly or in part.
        """
        with self._lock:
            self._read += chunks
            if self._read < _KEPT:
                return
            self._read = 0
            files = list(self._known.values())
        for file in files:
            file.unmap()

    def get(self, path: Path, sorted_by: str) -> MappedFile:
        """Give a file.

        Raises
        ------
        OSError, pyarrow.ArrowException
            It cannot be read, or has changed.
        """
        key = path, sorted_by
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
        if found is not None:
            try:
                found.check()
            except OSError:
                with self._lock:
                    if self._known.pop(key, None) is not None:
                        self._chunks -= found.chunks
                # What was mapped while it was damaged, and is whole by now, is mapped anew.
                if stamp_of(path) != self._stamps.get(path):
                    raise
            else:
                return found
        found = self._opened(path, sorted_by)
        with self._lock:
            if key not in self._known:
                self._known[key] = found
                self._chunks += found.chunks
                while self._chunks > _CHUNKS and len(self._known) > 1:
                    _, old = self._known.popitem(last=False)
                    self._chunks -= old.chunks
        return found
