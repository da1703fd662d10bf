"""Paths of files that lie in an object store, and here as far as they were needed."""

from __future__ import annotations

from os import PathLike
from pathlib import PosixPath
from typing import Any, Protocol, Self

from cerro_services.objects.file import CachedFile

StrPath = str | PathLike[str]


class Source(Protocol):
    """What knows the objects that files stand for."""

    url: str
    root: CachedPath

    def file(self, path: CachedPath) -> CachedFile:
        """Give the file of a path."""


class CachedPath(PosixPath):
    """A path below the folder in which a bucket is mirrored.

    Documents lie there whole. Of a data file only what `file` has fetched does: elsewhere the
    file is empty, so nothing reads it without having fetched what it reads.

    Parameters
    ----------
    *segments
        As of any path.
    source
        What knows the objects.
    """

    def __init__(self, *segments: StrPath, source: Source) -> None:
        super().__init__(*segments)
        self.source = source

    def with_segments(self, *segments: StrPath) -> Self:
        """Make another path, of the same bucket."""
        return type(self)(*segments, source=self.source)

    @property
    def place(self) -> str:
        """Its address in the bucket."""
        return f"{self.source.url}/{self.relative_to(self.source.root).as_posix()}"

    @property
    def file(self) -> CachedFile:
        """What stands for the object."""
        return self.source.file(self)

    def stamp(self) -> tuple[int, int, int]:
        """Tell what the file is; two that are equal mean that it has not changed.

        Raises
        ------
        BucketError
            The object is not what was published.
        """
        file = self.file
        file.check()
        return file.size, 0, 0


def extent(chunk: Any) -> tuple[int, int]:
    """Give where a column chunk of a Parquet file begins and ends, by its metadata."""
    begin = int(chunk.data_page_offset)
    if chunk.has_dictionary_page:
        begin = min(begin, int(chunk.dictionary_page_offset))
    return begin, begin + int(chunk.total_compressed_size)
