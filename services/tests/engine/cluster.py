"""Where the tests find a Spark cluster, if they do."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

URL = os.environ.get("CERRO_SPARK_URL")
HERE = find_spec("pyspark") is not None
HOW = "tests/support/spark.sh up && tests/support/spark.sh test"

has_client = pytest.mark.skipif(not HERE, reason=f"Spark's client is not installed here ({HOW})")
on_spark = pytest.mark.skipif(
    URL is None or not HERE, reason=f"no Spark cluster to ask, or no client of it here ({HOW})"
)
