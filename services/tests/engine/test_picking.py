"""Rows are picked before a query runs: all that matter, by region, key and join."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from services.tests.engine.stored import HERE, QUERIES, STARS, Sky

from cerro_services.adql import compile_query
from cerro_services.engine.files import Files
from cerro_services.engine.picking import Picker

COPIED = {
    "a key": "SELECT * FROM sky.Star WHERE star = 703",
    "a key, some columns": "SELECT band AS b, star, star AS again FROM sky.Star WHERE 703 = star",
    "no such key": "SELECT * FROM sky.Star WHERE star = 704",
    "the greatest integer": "SELECT seen FROM sky.Star WHERE star IN (10, 9223372036854775807)",
    "rows of keys": "SELECT * FROM sky.Epoch WHERE star IN (3, 10, 17, 24, 31, 38, 45, 52, 59, 4)",
    "columns that are not the key": "SELECT mjd, flag FROM sky.Epoch WHERE star IN (3, 10, 17, 24)",
}


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", COPIED)
def test_rows_of_a_key_are_copied_as_the_database_would_give_them(sky: Sky, name: str) -> None:
    query = compile_query(COPIED[name], sky.stored)
    assert query.copied
    found, expected = (
        pa.Table.from_batches(batches, schema)
        for q in (query, replace(query, copied=None))
        for stream in [sky.engine.stream(q)]
        for schema, batches in [(stream.begin(), stream)]
    )
    assert found.schema.equals(expected.schema)
    assert sorted(found.to_pylist(), key=repr) == sorted(expected.to_pylist(), key=repr)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("top", [0, 3, 8])
@pytest.mark.parametrize("limit", [None, 0, 5, 100])
def test_top_offset_and_maxrec_hold_for_rows_that_are_copied(
    sky: Sky, top: int, limit: int | None
) -> None:
    for where, there in (("WHERE star IN (3, 10, 17, 24, 31, 38)", 6), ("", STARS)):
        query = compile_query(f"SELECT TOP {top} star FROM sky.Star {where} OFFSET 2", sky.stored)
        assert query.copied
        stream = sky.engine.stream(query, limit=limit)
        rows = [row["c0"] for batch in stream for row in batch.to_pylist()]
        assert len(rows) == len(set(rows)) == min(top, there - 2, top if limit is None else limit)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize(
    "adql",
    [
        "SELECT star + 1 FROM sky.Star WHERE star = 703",
        "SELECT DISTINCT band FROM sky.Star WHERE star = 703",
        "SELECT star FROM sky.Star WHERE star = 703 ORDER BY mag",
        "SELECT star FROM sky.Star WHERE star = 703 AND n > 0",
        "SELECT star FROM sky.Star WHERE star <> 703",
        "SELECT star FROM sky.Star WHERE star NOT IN (703)",
        "SELECT star FROM sky.Star WHERE star IN (SELECT star FROM sky.Epoch WHERE star = 703)",
        "SELECT star FROM (SELECT star FROM sky.Star WHERE star = 703) AS s",
        "SELECT star FROM sky.Star WHERE star = 703 UNION SELECT star FROM sky.Star WHERE star = 3",
        "SELECT COUNT(*) AS n FROM sky.Star WHERE star = 703",
        f"SELECT s.star FROM sky.Star AS s WHERE {HERE.format(120, -30, 0.2)}",
    ],
)
def test_what_more_is_asked_the_database_answers(sky: Sky, adql: str) -> None:
    assert compile_query(adql, sky.stored).copied is None


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", QUERIES)
def test_what_is_picked_answers_as_all_rows_do(sky: Sky, name: str) -> None:
    assert sky.rows(QUERIES[name]) == sky.rows(QUERIES[name], sky.held)


@pytest.mark.req("ENG-1")
@pytest.mark.parametrize("name", ["a circle", "a key", "a foreign key", "an upload's positions"])
def test_few_rows_are_picked_of_many(sky: Sky, name: str) -> None:
    query = compile_query(QUERIES[name], sky.stored)
    picked = Picker(Files()).pick(query.scans, None)
    assert len(picked) == len(query.scans)
    assert max(rows.num_rows for rows in picked.values()) < STARS / 2
