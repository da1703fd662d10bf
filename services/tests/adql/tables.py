"""Tables in memory, to be asked like those of a release."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from cerro_services.adql import Catalogue, QueryTable
from cerro_services.release.model import Column, TableModel

Answer = Callable[..., pa.Table]
Ask = Callable[[str], pa.Table]


def one(ask: Ask, expression: str) -> object:
    """Give the value of an expression on any row."""
    return ask(f"SELECT TOP 1 {expression} AS v FROM sky.Visit").column("v")[0].as_py()


def in_memory(name: str, columns: Sequence[Column], table: pa.Table) -> Catalogue:
    """Give a catalogue of one table, ``mem.<name>``."""
    return Catalogue((QueryTable("mem", TableModel(name, tuple(columns)), table),))
