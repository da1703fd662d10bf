"""Read the column list of each table, and bring a task's output into exactly that shape.

The lists lie in ``schema/tables/<Table>.yaml``: plain columns, and ``band_columns`` whose names
hold ``{band}`` and which stand once for every band of the data. Tasks and the Felis schema
(`cerro_pipelines.schema.felis`) read the same list, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from astropy.table import Column as TableColumn
from astropy.table import MaskedColumn, Table

__all__ = [
    "Column",
    "ForeignKey",
    "TableModel",
    "conform",
    "empty",
    "sort_bands",
    "table_model",
    "table_names",
]

_NUMPY = {
    "boolean": np.dtype(np.bool_),
    "int": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}

# Wavelength words of the UCD1+ list for the bands that we know, blue to red; others are plain "em".
_EM = {
    "u": "em.opt.U",
    "g": "em.opt.B",
    "r": "em.opt.R",
    "i": "em.opt.I",
    "z": "em.opt.I",
    "y": "em.opt.I",
    "Y": "em.IR.J",
    "J": "em.IR.J",
    "H": "em.IR.H",
    "K": "em.IR.K",
    "Ks": "em.IR.K",
}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: Felis datatype, length of text, unit, UCD, and whether it may be null."""

    name: str
    datatype: str
    description: str
    unit: str | None = None
    ucd: str | None = None
    nullable: bool = True
    length: int | None = None
    band: str | None = None


@dataclasses.dataclass(frozen=True)
class ForeignKey:
    """Columns of this table that point to the key of another."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]
    description: str


@dataclasses.dataclass(frozen=True)
class TableModel:
    """A table with its columns for some bands; `dataset` names its Butler dataset type."""

    name: str
    dataset: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(c.name for c in self.columns)


def sort_bands(bands: Iterable[str]) -> list[str]:
    """Order bands from blue to red; unknown ones follow in alphabetical order."""
    order = list(_EM)
    return sorted(set(bands), key=lambda b: (order.index(b) if b in order else len(order), b))


@functools.cache
def _document(name: str) -> dict[str, Any]:
    file = importlib.resources.files(__package__) / "tables" / f"{name}.yaml"
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


@functools.cache
def table_names() -> tuple[str, ...]:
    """Give the names of all tables (``Object``, ``Source``, …)."""
    folder = importlib.resources.files(__package__) / "tables"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def _columns(document: Mapping[str, Any], bands: Sequence[str]) -> tuple[Column, ...]:
    plain = [Column(**c) for c in document["columns"]]
    for band in bands:
        for template in document.get("band_columns", ()):
            filled: dict[str, Any] = {
                k: v.format(band=band, em=_EM.get(band, "em")) if isinstance(v, str) else v
                for k, v in template.items()
            }
            plain.append(Column(**filled, band=band))
    return tuple(plain)


def table_model(name: str, bands: Sequence[str] = ()) -> TableModel:
    """Give the model of a table.

    Parameters
    ----------
    name
        Name of the table, such as ``Object``.
    bands
        Bands of the data in the order of the columns, such as ``["g", "r", "i"]``.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    if name not in table_names():
        raise KeyError(f"There is no table {name}; there are {', '.join(table_names())}.")
    document = _document(name)
    return TableModel(
        name=document["name"],
        dataset=document["dataset"],
        description=document["description"],
        columns=_columns(document, bands),
        primary_key=tuple(document["primaryKey"]),
        foreign_keys=tuple(
            ForeignKey(tuple(k["columns"]), k["table"], tuple(k["references"]), k["description"])
            for k in document.get("foreign_keys", ())
        ),
    )


def _convert(column: Column, value: Any, rows: int, table: str) -> Any:
    target = _NUMPY.get(column.datatype)
    mask = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else None
    data = np.ma.getdata(value) if mask is not None else np.asarray(value)
    data = np.broadcast_to(data, (rows,))
    if mask is not None and mask.any():
        # What lies under a mask is arbitrary and need not fit the type.
        data = np.where(mask, np.zeros(1, data.dtype), data)
    if target is None:
        data = data.astype(str)
        longest = max((len(v) for v in data), default=0)
        if column.length is not None and longest > column.length:
            raise ValueError(
                f"{table}.{column.name} holds text of {longest} characters; "
                f"its model allows {column.length}."
            )
    else:
        if data.dtype.kind == "f" and target.kind in "iub":
            raise ValueError(
                f"{table}.{column.name} is {data.dtype}, its model says {column.datatype}: "
                "give integers (a masked array where values are missing)."
            )
        data = data.astype(target)
    if mask is not None and mask.any():
        if not column.nullable:
            raise ValueError(f"{table}.{column.name} may not be null, but has masked values.")
        return MaskedColumn(data, mask=mask, unit=column.unit, description=column.description)
    if not column.nullable and data.dtype.kind == "f" and not np.isfinite(data).all():
        raise ValueError(f"{table}.{column.name} may not be null, but holds NaN or infinity.")
    return TableColumn(data, unit=column.unit, description=column.description)


def conform(name: str, values: Mapping[str, Any], bands: Sequence[str] = ()) -> Table:
    """Make a table with exactly the columns of its model, in order, with types and units.

    Parameters
    ----------
    name
        Name of the table, such as ``Source``.
    values
        An array (masked where values are missing) or a scalar for every column.
    bands
        Bands of the data.

    Raises
    ------
    ValueError
        If a column is missing, not in the model, of another kind, or null where it may not be.
    """
    model = table_model(name, bands)
    missing = [n for n in model.names if n not in values]
    foreign = [n for n in values if n not in model.names]
    if missing or foreign:
        raise ValueError(
            f"Columns of {name} differ from its model: missing {missing}, unknown {foreign}."
        )
    lengths = {len(v) for v in values.values() if np.ndim(v) > 0}
    if len(lengths) > 1:
        raise ValueError(f"Columns of {name} have different lengths: {sorted(lengths)}.")
    rows = lengths.pop() if lengths else 1
    table = Table({c.name: _convert(c, values[c.name], rows, name) for c in model.columns})
    table.meta["description"] = model.description
    return table


def empty(name: str, bands: Sequence[str] = ()) -> Table:
    """Make a table without rows but with all columns."""
    model = table_model(name, bands)
    return conform(
        name, {c.name: np.zeros(0, _NUMPY.get(c.datatype, "U1")) for c in model.columns}, bands
    )
