"""What every reader of a table offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

BATCH_BYTES = 16 << 20
"""Aim for the size of a batch, in memory."""


@dataclass(frozen=True)
class Field:
    """One column of a file, as the file describes it.

    Parameters
    ----------
    name
        Name in the file.
    type
        Arrow type; null if the file says nothing (CSV).
    unit, ucd, utype, description
        As the file has them.
    length
        Width of a text column, in characters.
    datatype, arraysize, xtype
        As a VOTable has them.
    """

    name: str
    type: pa.DataType
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    length: int | None = None
    datatype: str | None = None
    arraysize: str | None = None
    xtype: str | None = None


class TableSource(ABC):
    """One file that holds a table.

    Parameters
    ----------
    path
        The file; errors name it.
    """

    is_text: ClassVar[bool] = False
    """Whether all values come as text, to be read by the type that the schema wants."""
    empty_is_null: ClassVar[bool] = False
    """Whether an empty text is no value (rather than a text of no characters)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """The columns of the file."""

    @property
    def nrows(self) -> int | None:
        """Number of rows, if the file says so before it is read."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about the file."""
        return ()

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows.

        Parameters
        ----------
        columns
            Names of the columns to read, all of them in the file.

        Yields
        ------
        pyarrow.RecordBatch
            The rows in the order of the file, with the columns as asked for.

        Raises
        ------
        DataError
            The file is damaged, naming it and, where possible, the row.
        """
