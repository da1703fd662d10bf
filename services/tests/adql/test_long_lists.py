"""IN with a long list gives the rows of as many comparisons; as many comparisons are refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cerro_services.adql import AdqlError, compile_query
from cerro_services.release.model import Column

from .tables import Answer, in_memory

ENDS = (-(2**63), 2**63 - 1)
LIST = (*range(0, 6000, 3), *ENDS)
VALUES = [None, *ENDS, *range(-20, 8000, 7)]
WHERE = {
    "k IN ({})": lambda k: k is not None and k in LIST,
    "k NOT IN ({})": lambda k: k is not None and k not in LIST,
    "NOT (k IN ({}) OR x = 1)": lambda k: k is not None and k not in LIST,
    "x + 1.5 > k OR k IN ({})": lambda k: k is not None and (k < 1.5 or k in LIST),
}


@pytest.mark.req("FLT-6")
@pytest.mark.parametrize("where", WHERE)
def test_a_long_list_gives_the_rows_of_its_members(answer: Answer, where: str) -> None:
    columns = [Column("k", "long"), Column("x", "double")]
    table = pa.table({"k": pa.array(VALUES, pa.int64()), "x": [0.0] * len(VALUES)})
    listed = where.format(", ".join(map(str, LIST)))
    found = answer(f"SELECT k FROM mem.t WHERE {listed}", in_memory("t", columns, table))
    expected = [k for k in VALUES if WHERE[where](k)]
    assert sorted(found.column("k").to_pylist()) == sorted(expected)


@pytest.mark.req("FLT-6")
def test_a_list_beyond_64_bits_is_taken_as_it_is(answer: Answer) -> None:
    table = pa.table({"k": pa.array([5], pa.int64())})
    listed = ", ".join(map(str, (*range(2000), 10**25)))
    catalogue = in_memory("t", [Column("k", "long")], table)
    assert answer(f"SELECT k FROM mem.t WHERE k IN ({listed})", catalogue).num_rows == 1


@pytest.mark.req("FLT-6")
def test_another_database_gets_the_list_member_by_member() -> None:
    table = pa.table({"k": pa.array([5], pa.int64())})
    listed = ", ".join(map(str, range(2000)))
    catalogue = in_memory("t", [Column("k", "long")], table)
    query = compile_query(f"SELECT k FROM mem.t WHERE k IN ({listed})", catalogue)
    assert f"IN ({listed})" in query.sql(lambda _: "t", lists=False)


@pytest.mark.req("ADQL-8")
@pytest.mark.parametrize(
    "part", ["k = {}", "ABS({}) = k", "1 = CONTAINS(POINT(k, k), CIRCLE({}, 0, 1))"]
)
def test_operators_and_calls_are_counted_and_members_of_lists_are_not(
    answer: Answer, part: str
) -> None:
    table = pa.table({"k": pa.array([-5], pa.int64())})
    catalogue = in_memory("t", [Column("k", "long")], table)
    listed = ", ".join(map(str, range(0, -20_000, -1)))
    assert answer(f"SELECT k FROM mem.t WHERE k IN ({listed})", catalogue).num_rows == 1
    many = " OR ".join(part.format(n % 90) for n in range(3_000))
    with pytest.raises(AdqlError, match="operators and calls"):
        compile_query(f"SELECT k FROM mem.t WHERE {many}", catalogue)
