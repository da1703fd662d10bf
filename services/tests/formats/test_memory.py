"""What a writer holds of a result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from services.tests.formats.documents import BY_NAME

from cerro_services.adql import ResultColumn
from cerro_services.formats import (
    Frame,
    describe,
    pieces,
)


@pytest.mark.req("FMT-9")
@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"fits"}))
def test_what_is_held_does_not_grow_with_the_result(name: str) -> None:
    # One batch, again and again: if a writer kept what it wrote, the sum of what it gives would
    # lag behind ever more.
    columns = [ResultColumn("a", "double"), ResultColumn("t", "char", "*")]
    random = np.random.default_rng(3)
    batch = pa.record_batch({"a": random.random(20_000), "t": ["some text"] * 20_000})

    def source() -> Iterator[pa.RecordBatch]:
        for _ in range(60):
            yield batch

    writer = BY_NAME[name].writer(describe(columns, batch.schema), Frame())
    sizes = [len(piece) for piece in pieces(source(), writer, 10**9)]
    silence = max(map(len, "".join("x" if size else "." for size in sizes).split("x")))
    assert silence <= 7
    assert max(sizes) < 10 << 20


@pytest.mark.req("FMT-9")
def test_wide_rows_are_written_a_few_at_a_time() -> None:
    wide = pa.record_batch({f"c{i}": np.zeros(20_000) for i in range(200)})
    columns = [ResultColumn(f"c{i}", "double") for i in range(200)]
    writer = BY_NAME["binary2"].writer(describe(columns, wide.schema), Frame())
    sizes = [len(piece) for piece in pieces([wide], writer, 10**9)]
    assert sum(sizes) > 40 << 20
    assert max(sizes) < 8 << 20
