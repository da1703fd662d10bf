"""Every type that Parquet can bring becomes a column, exactly."""

from __future__ import annotations

import datetime as dt
import io
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cerro.errors import UnexpectedAnswerError
from cerro.results import from_parquet

TIME = dt.datetime(2026, 1, 2, 3, 4, 5, 678900)  # noqa: DTZ001 (Parquet without a zone)


def parquet(table: pa.Table, rows_per_group: int = 2) -> bytes:
    """Write a table in several row groups, so that columns come in several pieces."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=rows_per_group)
    return sink.getvalue()


@pytest.mark.req("CLI-1")
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.bool_(), [True, False, None, True, True]),
        (pa.int16(), [1, None, -3, 4, 5]),
        (pa.int64(), [2**60 + 1, None, -(2**60) - 1, 0, 5]),
        (pa.float32(), [1.5, None, -2.5, 0.0, 3.25]),
        (pa.float64(), [0.1, None, 1e300, 0.0, 3.25]),
        (pa.string(), ["r", None, "band", "", "i"]),
        (pa.string(), ["é", None, "日本", "", "i"]),
        (pa.string(), ["x" * 300, None, "y", "", "i"]),
        (pa.timestamp("us"), [TIME, None, TIME, TIME, TIME]),
        (pa.date32(), [TIME.date(), None, TIME.date(), TIME.date(), TIME.date()]),
        (pa.decimal128(6, 2), [Decimal("1.25"), None, Decimal(2), Decimal(3), Decimal(4)]),
        (pa.list_(pa.float64()), [[1.0, 2.0], None, [3.0], [], [4.0]]),
        (pa.binary(), [b"a", None, b"bc", b"", b"d"]),
        (pa.dictionary(pa.int8(), pa.string()), ["g", None, "g", "r", "r"]),
    ],
    ids=str,
)
def test_values_survive(kind: pa.DataType, values: list[object]) -> None:
    column = from_parquet(parquet(pa.table({"c": pa.array(values, kind)})))["c"]
    assert np.ma.getmaskarray(column).tolist() == [value is None for value in values]
    for found, put_in in zip(column, values, strict=True):
        if put_in is None:
            continue
        if isinstance(put_in, list):
            assert found.tolist() == put_in
        elif isinstance(put_in, dt.date):
            assert found == np.datetime64(put_in)
        else:
            assert found == put_in


@pytest.mark.req("CLI-1")
def test_a_column_without_nulls_is_not_masked_and_can_be_changed() -> None:
    table = from_parquet(parquet(pa.table({"x": [1.0, 2.0, 3.0], "name": ["a", "b", "c"]})))
    table["x"][0] = 5.0
    assert table["x"].tolist() == [5.0, 2.0, 3.0]
    assert table["x"].quantity.sum() == 10.0


@pytest.mark.req("CLI-1")
def test_all_null_and_empty_columns_are_columns() -> None:
    nothing = from_parquet(parquet(pa.table({"x": pa.array([None, None], pa.int64())})))
    assert nothing["x"].mask.all()
    empty = pa.table({"x": pa.array([], pa.float32()), "s": pa.array([], pa.string())})
    assert from_parquet(parquet(empty)).colnames == ["x", "s"]


@pytest.mark.req("CLI-5")
def test_an_answer_that_broke_off_is_said() -> None:
    whole = parquet(pa.table({"x": [1.0, 2.0, 3.0]}))
    with pytest.raises(UnexpectedAnswerError, match="broke off"):
        from_parquet(whole[: len(whole) // 2])


@pytest.mark.req("CLI-6")
def test_reading_a_result_does_not_load_pandas(tmp_path: Path) -> None:
    path = tmp_path / "result.parquet"
    table = {"x": [1, None, 3], "s": ["a", None, "c"], "b": [True, None, False], "t": [TIME] * 3}
    path.write_bytes(parquet(pa.table(table)))
    code = (
        "import sys, pathlib; from cerro.results import from_parquet;"
        "content = pathlib.Path(sys.argv[1]).read_bytes();"
        "print(len(from_parquet(content)), 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
