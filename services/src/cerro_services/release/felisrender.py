"""A drafted data model as text: Felis in YAML, with remarks for whoever completes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from cerro_services.release.readers import Field


@dataclass
class ColumnDraft:
    """One column of a schema being drafted.

    Parameters
    ----------
    source
        As the file describes it.
    datatype
        Felis type.
    notes
        Remarks for the person who completes the schema.
    nulls, rows
        Values that are missing, of all.
    width
        Longest text.
    ucd, unit
        As the schema will say; guessed where the file is silent.
    """

    source: Field
    datatype: str
    notes: list[str] = field(default_factory=list)
    nulls: int = 0
    rows: int = 0
    width: int = 0
    ucd: str | None = None
    unit: str | None = None
    candidates: list[str] = field(default_factory=list)


def render(
    name: str,
    table: str,
    columns: Sequence[ColumnDraft],
    key: str | None,
    paths: Sequence[Path],
) -> str:
    """Write a data model of one table.

    Parameters
    ----------
    name, table
        Names of the release and the table.
    columns
        Its columns.
    key
        Column of the key, if there is one.
    paths
        The files it was drafted from.

    Returns
    -------
    str
        Felis, in YAML.
    """
    import yaml

    def scalar(value: object) -> str:
        text = yaml.safe_dump(value, allow_unicode=True, width=10_000).strip()
        return text.removesuffix("\n...").removesuffix("...").strip()

    files = ", ".join(path.name for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    lines = [
        f"# Drafted by `cerro release schema draft` from {files}.",
        "# Complete the descriptions, units (VOUnit) and UCDs. What may stand here:",
        "# https://felis.lsst.io. Check it with: felis --id-generation validate FILE",
        f"name: {name}",
        f"description: {scalar(f'The {name} release.')}",
        "tables:",
        f"- name: {table}",
        f"  description: {scalar(f'The rows of {files}.')}",
        "  tap:table_index: 1",
    ]
    if key:
        lines.append(f"  primaryKey: {scalar(f'#{table}.{key}')}")
    lines.append("  columns:")
    principal = _principal(columns, key)
    for number, column in enumerate(columns, 1):
        lines += [f"  # {note}" for note in column.notes]
        lines.append(f"  - name: {scalar(column.source.name)}")
        entries: dict[str, Any] = {"datatype": column.datatype}
        if column.datatype in {"string", "binary"}:
            # Room for the longest value, in steps, so that the next file fits as well.
            longest = max(column.width, column.source.length or 0, 1)
            entries["length"] = longest if column.source.length else -(-longest // 8) * 8
        if pa.types.is_nested(column.source.type):
            size = getattr(column.source.type, "list_size", None)
            entries["votable:arraysize"] = str(size) if size else "*"
        entries["description"] = column.source.description
        entries["ivoa:ucd"] = column.ucd
        entries["ivoa:unit"] = column.unit
        if not column.nulls or column.source.name == key:
            entries["nullable"] = False
        entries["tap:principal"] = 1 if column.source.name in principal else None
        entries["tap:column_index"] = number
        lines += [f"    {k}: {scalar(v)}" for k, v in entries.items() if v is not None]
    return "\n".join(lines) + "\n"


def _principal(columns: Sequence[ColumnDraft], key: str | None) -> set[str]:
    chosen = {c.source.name for c in columns if "meta.main" in (c.ucd or "")}
    chosen |= {key} if key else set()
    for column in columns:
        if len(chosen) >= 8:
            break
        chosen.add(column.source.name)
    return chosen
