"""What a process of `cerro serve` imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT_PANDAS = """
from cerro_services.serving import spare_pandas
spare_pandas()
import duckdb, numpy, pyarrow
from cerro_services.release import healpix
assert len(healpix.cells(numpy.array([10.0]), numpy.array([-5.0]))) == 1
assert duckdb.connect().execute("SELECT 42").fetchall() == [(42,)]
assert pyarrow.array([1, None]).to_pylist() == [1, None]
try:
    import pandas
except ModuleNotFoundError:
    print("no pandas")
"""


@pytest.mark.req("MYDB-1")
def test_positions_are_indexed_in_a_process_that_is_spared_pandas() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PANDAS], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "no pandas\n"
