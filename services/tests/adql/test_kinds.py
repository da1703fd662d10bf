"""Values of different kinds: what is compared with what, how times are told, what is refused."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest

from cerro_services.adql import AdqlError, Catalogue, compile_query
from cerro_services.release.model import Column

from .tables import Answer, in_memory


@pytest.fixture(scope="module")
def kinds() -> Catalogue:
    """Give three rows: times as an upload has them (text) and as a release has them, and others."""
    times = ["2020-01-02T03:04:05", "2021-06-01T00:00:00.25", None]
    return in_memory(
        "t",
        [
            Column("i", "int"),
            Column("d", "double"),
            Column("s", "string"),
            Column("b", "boolean"),
            Column("t", "char", "*", xtype="timestamp"),
            Column("u", "timestamp"),
            Column("p", "double", "2", xtype="point"),
        ],
        pa.table(
            {
                "i": pa.array([1, 2, 3], pa.int32()),
                "d": pa.array([1.15, -2.567, 1289.0], pa.float64()),
                "s": pa.array(["a", "b", None], pa.string()),
                "b": pa.array([True, False, None], pa.bool_()),
                "t": pa.array(times, pa.string()),
                "u": pa.array(
                    [time and datetime.fromisoformat(time) for time in times],
                    pa.timestamp("us"),
                ),
                "p": pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float64())),
            }
        ),
    )


@pytest.mark.req("ADQL-1")
@pytest.mark.parametrize("time", ["t", "u"])
@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("{} > '2020-06-01'", [2]),
        ("{} > TIMESTAMP '2020-06-01T00:00:00'", [2]),
        ("{} = '2020-01-02T03:04:05.000'", [1]),
        ("TIMESTAMP '2020-01-02 03:04:05' = {}", [1]),
        ("{} BETWEEN '2020-01-01' AND '2020-12-31T23:59:59Z'", [1]),
        ("{} NOT BETWEEN TIMESTAMP('2020-01-01') AND '2020-12-31'", [2]),
        ("{} IN ('2020-01-02T03:04:05', TIMESTAMP '2000-01-01')", [1]),
        ("{} IN (SELECT u FROM mem.t)", [1, 2]),
        ("{} IN (SELECT t FROM mem.t)", [1, 2]),
        ("COALESCE({}, TIMESTAMP '2000-01-01') < '2001-01-01'", [3]),
        ("t = u", [1, 2]),
    ],
)
def test_times_are_compared_as_times_however_they_are_held(
    answer: Answer, kinds: Catalogue, time: str, condition: str, found: list[int]
) -> None:
    adql = f"SELECT i FROM mem.t WHERE {condition.format(time)} ORDER BY i"
    assert answer(adql, kinds)["i"].to_pylist() == found


@pytest.mark.req("ADQL-6")
@pytest.mark.parametrize(
    ("adql", "said"),
    [
        ("SELECT i FROM mem.t WHERE u > 'yesterday'", "'yesterday' is no time"),
        ("SELECT i FROM mem.t WHERE u > 5", "number is not compared with a timestamp"),
        ("SELECT i FROM mem.t WHERE s BETWEEN 1 AND 2", "s is a text, which is not compared"),
        ("SELECT i FROM mem.t WHERE s IN (SELECT i FROM mem.t)", "s is a text, which is not"),
        ("SELECT i FROM mem.t WHERE p > 5", "geometry is not compared with a number"),
        ("SELECT i FROM mem.t WHERE i LIKE '1%'", "LIKE and ILIKE compare texts"),
        ("SELECT i FROM mem.t WHERE s LIKE 5", "LIKE and ILIKE compare texts"),
        ("SELECT COALESCE(s, 5) FROM mem.t", "COALESCE takes values of one kind"),
        ("SELECT COALESCE(b, 'x') FROM mem.t", "COALESCE takes values of one kind"),
        ("SELECT POINT(b, d) FROM mem.t", "made of numbers"),
        ("SELECT POINT(t, d) FROM mem.t", "made of numbers"),
        ("SELECT CIRCLE(p, 'x') FROM mem.t", "is a text"),
        ("SELECT i FROM mem.t ORDER BY COUNT(*)", "neither in GROUP BY nor inside"),
    ],
)
def test_values_of_other_kinds_are_refused_where_they_stand(
    kinds: Catalogue, adql: str, said: str
) -> None:
    with pytest.raises(AdqlError, match="line 1, column") as caught:
        compile_query(adql, kinds)
    assert said in caught.value.message


@pytest.mark.req("ADQL-1")
@pytest.mark.parametrize(
    ("adql", "found"),
    [
        ("SELECT i FROM mem.t ORDER BY 'x', i DESC", [3, 2, 1]),
        ("SELECT i FROM mem.t ORDER BY NULL, TRUE, -i", [3, 2, 1]),
        ("SELECT COUNT(*) FROM mem.t ORDER BY 'x'", [3]),
        ("SELECT COUNT(*) FROM mem.t GROUP BY 1", [3]),
        ("SELECT COUNT(*) FROM mem.t GROUP BY 'x'", [3]),
        ("SELECT TRUNCATE(d, 2) FROM mem.t ORDER BY i", [1.15, -2.56, 1289.0]),
        ("SELECT TRUNCATE(d, -2) FROM mem.t ORDER BY i", [0.0, 0.0, 1200.0]),
        ("SELECT i FROM (mem.t AS a JOIN mem.t AS b USING (i)) AS q WHERE i < 2", [1]),
        ("SELECT i FROM mem.t WHERE EXISTS (mem.t AS a JOIN mem.t AS b USING (i)) AND i = 2", [2]),
        ("WITH w AS (SELECT i FROM mem.t) (SELECT i FROM w) ORDER BY i DESC OFFSET 1", [2, 1]),
        (
            "SELECT ABS(d) AS distance FROM mem.t WHERE i = 1 ORDER BY distance",
            [1.15],
        ),
    ],
)
def test_rare_productions_give_what_they_say(
    answer: Answer, kinds: Catalogue, adql: str, found: list[float]
) -> None:
    assert answer(adql, kinds).column(0).to_pylist() == pytest.approx(found)


@pytest.mark.req("ADQL-3")
def test_a_coordinate_is_a_double_in_degrees(kinds: Catalogue) -> None:
    columns = compile_query("SELECT COORD1(POINT(1, 2)), COORD2(p) FROM mem.t", kinds).columns
    assert [(column.datatype, column.unit) for column in columns] == [("double", "deg")] * 2
