"""What a process of `cerro serve` imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


_WITHOUT_DRIVERS = """
import sys
from pathlib import Path
from cerro_services.config import Settings
from cerro_services.serving import spare_drivers
settings = Settings(home=Path(sys.argv[1]), queue_url=sys.argv[2])
spare_drivers(settings)
from cerro_services.uws.queue import Queue
Queue(settings)
print(*sorted({"psycopg", "redis"} & sys.modules.keys()))
"""


@pytest.mark.req("UWS-12")
@pytest.mark.parametrize(
    ("queue", "loaded"),
    [("", ""), ("postgresql://127.0.0.1/x", "psycopg"), ("redis://127.0.0.1/0", "redis")],
)
def test_clients_of_queues_are_imported_where_they_are_used(
    tmp_path: Path, queue: str, loaded: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DRIVERS, str(tmp_path), queue],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.strip() == loaded
