"""The columns of a VOTable, and what decoders of its rows have in common (VOTable §2, §5)."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from cerro_services.release.errors import DataError
from cerro_services.release.readers.base import Field

TYPES: dict[str, tuple[str, pa.DataType]] = {
    "boolean": ("u1", pa.bool_()),
    "bit": ("u1", pa.bool_()),
    "unsignedByte": ("u1", pa.uint8()),
    "short": (">i2", pa.int16()),
    "int": (">i4", pa.int32()),
    "long": (">i8", pa.int64()),
    "float": (">f4", pa.float32()),
    "double": (">f8", pa.float64()),
    "char": ("", pa.string()),
    "unicodeChar": ("", pa.string()),
}
TEXT = frozenset({"char", "unicodeChar"})
TRUTHS = frozenset({"boolean", "bit"})
MAX_CELL = 64 << 20
"""Bytes of one cell, or of one row in binary, at most."""
_SHAPE = re.compile(r"(?:(\d+)|(\d+)?\*|((?:\d+x)+)(?:(\d+)|(\d+)?\*))")


@dataclass
class VOField:
    """One FIELD of a VOTable.

    Parameters
    ----------
    name, datatype, unit, ucd, utype, xtype, arraysize, description
        As the document has them.
    size
        Number of values (or characters) in a cell; None if it varies.
    null
        Text of the value that stands for none (VALUES null).
    """

    name: str
    datatype: str
    size: int | None = 1
    unit: str | None = None
    ucd: str | None = None
    utype: str | None = None
    description: str | None = None
    null: str | None = None
    width: int | None = None
    arraysize: str | None = None
    xtype: str | None = None

    @classmethod
    def from_attributes(cls, attributes: dict[str, str], path: Path) -> VOField:
        """Read a FIELD element.

        Raises
        ------
        DataError
            The type is one that a release cannot hold.
        """
        name = attributes.get("name") or attributes.get("ID") or "?"
        datatype = attributes.get("datatype", "")
        arraysize = attributes.get("arraysize", "1").strip()
        match = _SHAPE.fullmatch(arraysize) if len(arraysize) < 64 else None
        several = match is not None and match[3] is not None
        scalars = datatype == "bit" and arraysize != "1"
        if datatype not in TYPES or match is None or scalars or (several and datatype in TEXT):
            raise DataError(
                f"is of type {datatype or '?'}[{arraysize}], which cannot be held here: "
                "give scalars, text, or arrays of numbers.",
                file=path,
                column=name,
            )
        fixed = match[1] or (match[4] and match[3] + match[4])
        size = math.prod(map(int, fixed.split("x"))) if fixed else None
        # A text of no characters is what some writers make of a column without values.
        least = 0 if datatype in TEXT else 1
        if size is not None and not least <= size <= MAX_CELL // 8:
            raise DataError(f"has {size:,} values in a cell.", file=path, column=name)
        bound = match[1] or match[2]
        return cls(
            name=name,
            datatype=datatype,
            size=size,
            unit=attributes.get("unit"),
            ucd=attributes.get("ucd"),
            utype=attributes.get("utype"),
            width=int(bound) if bound else None,
            arraysize=attributes.get("arraysize"),
            xtype=attributes.get("xtype"),
        )

    @property
    def is_text(self) -> bool:
        """Whether cells are text."""
        return self.datatype in TEXT

    @property
    def is_scalar(self) -> bool:
        """Whether a cell holds one number or truth value."""
        return self.size == 1 and not self.is_text and self.arraysize in {None, "1", ""}

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the column."""
        scalar = TYPES[self.datatype][1]
        if self.is_text or self.is_scalar:
            return scalar
        return pa.list_(scalar) if self.size is None else pa.list_(scalar, self.size)

    def to_field(self) -> Field:
        """Give the column as every reader does."""
        return Field(
            self.name,
            self.arrow,
            unit=self.unit or None,
            ucd=self.ucd or None,
            utype=self.utype or None,
            description=self.description or None,
            length=self.width if self.is_text else None,
            datatype=self.datatype,
            arraysize=self.arraysize,
            xtype=self.xtype or None,
        )


class Decoder(ABC):
    """Collects rows and gives them as record batches.

    Parameters
    ----------
    path
        The file, for errors.
    fields
        The columns.
    with_nulls
        Whether each binary row begins with a mask of nulls (BINARY2).
    """

    def __init__(self, path: Path, fields: Sequence[VOField], *, with_nulls: bool) -> None:
        self.path, self.fields, self.with_nulls = path, list(fields), with_nulls
        self.done = 0

    @abstractmethod
    def take(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Give the rows that are complete."""

    @abstractmethod
    def finish(self) -> None:
        """Note that no more rows come."""

    def fault(self, problem: str, column: str, row: int, value: object) -> DataError:
        """Make the error of one cell; `row` counts from the rows given so far."""
        return DataError(
            problem, file=self.path, column=column, row=self.done + row + 1, value=value
        )
