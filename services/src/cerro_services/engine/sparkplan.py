"""What Spark Connect is told of a query: its SQL, and what each of its scans reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from cerro_services.adql import Query
from cerro_services.engine.base import EngineError
from cerro_services.engine.reading import Reading
from cerro_services.objects import CachedPath
from cerro_services.release import SPATIAL_INDEX

_TYPES: tuple[tuple[Callable[[pa.DataType], bool], str, pa.DataType], ...] = (
    (pa.types.is_boolean, "BOOLEAN", pa.bool_()),
    (pa.types.is_int8, "TINYINT", pa.int8()),
    (pa.types.is_int16, "SMALLINT", pa.int16()),
    (pa.types.is_uint8, "SMALLINT", pa.int16()),
    (pa.types.is_int32, "INT", pa.int32()),
    (pa.types.is_uint16, "INT", pa.int32()),
    (pa.types.is_int64, "BIGINT", pa.int64()),
    (pa.types.is_uint32, "BIGINT", pa.int64()),
    (pa.types.is_uint64, "DECIMAL(20, 0)", pa.decimal128(20, 0)),
    (pa.types.is_floating, "FLOAT", pa.float32()),
    (pa.types.is_binary, "BINARY", pa.binary()),
    (pa.types.is_large_binary, "BINARY", pa.binary()),
    (pa.types.is_date, "DATE", pa.date32()),
)
"""Test of a type of Arrow, Spark's type, and the type of Arrow that Spark takes it as."""

Located = Callable[[Path], str]
"""From a file as the service names it to its name on the cluster."""


def relation(messages: Any, query: Query, sql: str, readings: Sequence[Reading],
             located: Located) -> Any:  # fmt: skip
    """Give the plan of a query.

    Parameters
    ----------
    messages
        The module of Spark Connect's messages.
    query
        The query.
    sql
        It in Spark's SQL, in which scan number n is the table ``sn``.
    readings
        What the scans read.
    located
        Names a file for the cluster.

    Returns
    -------
    message
        A plan of Spark Connect.
    """
    made = messages.Plan()
    root = made.root.with_relations
    root.root.sql.query = sql
    for scan, reading in zip(query.scans, readings, strict=True):
        reference = root.references.add().subquery_alias
        reference.alias = f"s{scan.number}"
        if reading.memory is not None:
            _rows(reference.input, reading.memory, tuple(scan.columns))
        else:
            _files(reference.input, reading, located)
    return made


def _rows(target: Any, table: pa.Table, columns: tuple[str, ...]) -> None:
    """Send the rows of a table in memory along."""
    table = table.select(list(columns) or table.column_names[:1])
    schema = pa.schema([(field.name, spark_type(field.type)[1]) for field in table.schema])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table.cast(schema).combine_chunks())
    target.local_relation.data = sink.getvalue().to_pybytes()
    target.local_relation.schema = _ddl(table.schema)


def _files(target: Any, reading: Reading, located: Located) -> None:
    """Let Parquet files be read, and of them only the cells that rows can lie in."""
    spatial = reading.ranges is not None
    if spatial:
        condition = target.filter.condition.expression_string
        condition.expression = _in_ranges(reading)
        target = target.filter.input
    source = target.read.data_source
    source.format = "parquet"
    names = dict.fromkeys((*reading.columns, *([SPATIAL_INDEX] if spatial else [])))
    stored = _schema(reading.paths[0])
    source.schema = _ddl(pa.schema([stored.field(name) for name in names]))
    # Names of files are no patterns, and nothing is told by the folders they lie in.
    source.options["__globPaths__"] = "false"
    source.paths.extend(located(path) for path in reading.paths)


def _in_ranges(reading: Reading) -> str:
    ranges = reading.ranges
    assert ranges is not None
    if not len(ranges):
        return "FALSE"
    tests = [f"`{SPATIAL_INDEX}` BETWEEN {lo} AND {hi - 1}" for lo, hi in ranges.tolist()]
    whole = f"`{SPATIAL_INDEX}` BETWEEN {int(ranges[0, 0])} AND {int(ranges[-1, 1]) - 1}"
    return whole if len(tests) == 1 else f"{whole} AND ({' OR '.join(tests)})"


@lru_cache(4096)
def _schema(path: Path) -> pa.Schema:
    try:
        if isinstance(path, CachedPath):
            with path.file.lease():
                path.file.fetch_footer()
                return parquet.read_schema(path)
        return parquet.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise EngineError(
            f"{path.name} cannot be read. The operator finds the reason in the log."
        ) from error


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(
        f"`{field.name.replace('`', '``')}` {spark_type(field.type)[0]}" for field in schema
    )


def spark_type(kind: pa.DataType) -> tuple[str, pa.DataType]:
    """Give Spark's type for one of Arrow, and the type of Arrow that Spark takes it as.

    Parameters
    ----------
    kind
        Type of a column.

    Raises
    ------
    EngineError
        Spark has no such type.
    """
    if pa.types.is_float64(kind):
        return "DOUBLE", kind
    if pa.types.is_timestamp(kind):
        zoned = kind.tz is not None
        return ("TIMESTAMP", pa.timestamp("us", "UTC")) if zoned else (
            "TIMESTAMP_NTZ", pa.timestamp("us"))  # fmt: skip
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})", kind
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        name, inner = spark_type(kind.value_type)
        return f"ARRAY<{name}>", pa.list_(inner)
    for test, name, taken in _TYPES:
        if test(kind):
            return name, taken
    if any(test(kind) for test in _TEXTS):
        return "STRING", pa.string()
    raise EngineError(f"Spark has no type for a column of {kind}. Publish it as another type.")


_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
