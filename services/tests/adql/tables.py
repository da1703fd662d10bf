"""Tables in memory, to be asked like those of a release."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from cerro_services.adql import Catalogue, QueryTable
from cerro_services.release.model import Column, TableModel

Answer = Callable[..., pa.Table]


def in_memory(name: str, columns: Sequence[Column], table: pa.Table) -> Catalogue:
    """Give a catalogue of one table, ``mem.<name>``."""
    return Catalogue((QueryTable("mem", TableModel(name, tuple(columns)), table),))
