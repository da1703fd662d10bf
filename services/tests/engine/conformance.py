"""Queries that every engine answers alike, and what their answers have in common.

Answers are compared as what two engines must agree on: the number of rows, and for each column its
nulls and values, floating-point numbers to a part in 10^9. Rows are compared in order only where
the query says ORDER BY, and one by one where they are few; else by sums and a digest.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from cerro_services.adql import Catalogue, QueryTable, compile_query
from cerro_services.engine import Engine
from cerro_services.release import Column
from cerro_services.release.model import TableModel

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.json"
_FEW = 12
"""Rows that an answer has at most to be compared value by value."""


@dataclass(frozen=True)
class Case:
    """A query that every engine answers alike."""

    name: str
    adql: str
    ordered: bool


def cases() -> list[Case]:
    """Give all queries."""
    document = yaml.safe_load((HERE / "queries.yaml").read_text(encoding="utf-8"))
    found = []
    for name, entry in document.items():
        given = entry if isinstance(entry, dict) else {"adql": entry}
        found.append(Case(name, given["adql"], bool(given.get("ordered"))))
    return found


def answers() -> dict[str, Any]:
    """Give the answers that are written down."""
    found: dict[str, Any] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return found


def with_places(catalogue: Catalogue, rows: dict[str, pa.Table]) -> Catalogue:
    """Add the table in memory to what can be queried: positions near every 60th object."""
    objects = rows["Object"]
    chosen = np.arange(0, objects.num_rows, 60)
    count = len(chosen)
    lon = objects["ra"].to_numpy()[chosen]
    lat = objects["dec"].to_numpy()[chosen]
    names = ["plain", "back\\slash", 'it\'s "quoted"', "per%cent_", "é日本 \U0001f52d", "a\tb\nc"]
    table = pa.table(
        {
            "id": pa.array(np.arange(count, dtype=np.int32)),
            "lon": lon,
            "lat": np.clip(lat + 0.001 * (np.arange(count) % 25), -90, 90),
            "name": pa.array([names[i % 6] for i in range(count)], mask=np.arange(count) % 9 == 0),
            "weight": pa.array((np.arange(count) / 7).astype("f4")),
            "seen": pa.array(np.arange(count) * 10**9, pa.timestamp("us")),
            "good": pa.array(np.arange(count) % 3 == 0, mask=np.arange(count) % 5 == 0),
        }
    )
    types = {
        "id": "int",
        "weight": "float",
        "name": "unicode",
        "seen": "timestamp",
        "good": "boolean",
    }
    columns = tuple(Column(name, types.get(name, "double")) for name in table.column_names)
    model = TableModel("places", columns, ra="lon", dec="lat")
    return Catalogue((*catalogue.tables, QueryTable("tap_upload", model, table)))


def asker(engine: Engine, catalogue: Catalogue) -> Callable[[str], pa.Table]:
    """Give a function that answers ADQL on an engine."""

    def ask(adql: str) -> pa.Table:
        stream = engine.stream(compile_query(adql, catalogue))
        try:
            schema = stream.begin()
            return pa.Table.from_batches(list(stream), schema)
        finally:
            stream.close()

    return ask


def summary(table: pa.Table, *, ordered: bool) -> dict[str, Any]:
    """Say what an answer holds, for `differences`."""
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    if table.num_rows <= _FEW:
        rows = [list(row) for row in zip(*columns, strict=True)]
        if not ordered:
            rows.sort(key=lambda row: json.dumps([_rounded(value) for value in row]))
        return {"rows": table.num_rows, "values": rows}
    return {"rows": table.num_rows, "columns": [_column(column, ordered) for column in columns]}


def differences(found: Any, expected: Any, where: str = "") -> list[str]:
    """Name what differs between two summaries beyond rounding."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        pairs = [(f"{where}.{key}", found[key], expected[key]) for key in found]
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = [
            (f"{where}[{i}]", *pair) for i, pair in enumerate(zip(found, expected, strict=True))
        ]
    elif _number(found) and _number(expected):
        alike = math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)
        return [] if alike else [f"{where}: {found!r}, not {expected!r}"]
    else:
        return [] if found == expected else [f"{where}: {found!r}, not {expected!r}"]
    return [line for pair in pairs for line in differences(pair[1], pair[2], pair[0])]


def _column(values: list[Any], ordered: bool) -> dict[str, Any]:
    there = [value for value in values if value is not None]
    result: dict[str, Any] = {"nulls": len(values) - len(there)}
    flat = [n for value in there for n in (value if isinstance(value, list) else [value])]
    if flat and all(_number(value) for value in flat):
        result |= {
            "sum": math.fsum(flat), "squares": math.fsum(n * n for n in flat),
            "least": min(flat), "greatest": max(flat),
        }  # fmt: skip
        if ordered:
            result["moment"] = math.fsum(i * n for i, n in enumerate(flat))
        return result
    texts = [json.dumps(value, ensure_ascii=False) for value in there]
    text = "\n".join(texts if ordered else sorted(texts))
    return result | {"digest": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        # One word for each: JSON has none.
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(member) for member in value]
    return f"{value:.6e}" if _number(value) else value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
