"""A survey to ask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from services.tests.engine.stored import EPOCHS, STARS, Sky, model_of, written

from cerro_services.adql import Catalogue, QueryTable
from cerro_services.engine import DuckDBEngine, Limits


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sky]:
    folder = tmp_path_factory.mktemp("sky")
    rng = np.random.default_rng(11)
    # Half of the stars crowd about a pole, about 0 degrees of right ascension, and in one field.
    lon = rng.uniform(0, 360, STARS)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, STARS)))
    some = STARS // 6
    lat[:some] = 90 - rng.exponential(1.0, some)
    lon[some : 2 * some] = rng.normal(0, 1, some) % 360
    lat[some : 2 * some] = rng.normal(0, 1, some)
    lon[2 * some : 3 * some] = 120 + rng.normal(0, 0.3, some)
    lat[2 * some : 3 * some] = -30 + rng.normal(0, 0.3, some)
    star = np.arange(STARS, dtype=np.int64) * 7 + 3
    stars = pa.table(
        {
            "star": star,
            "ra": lon,
            "dec": lat,
            "mag": rng.normal(15, 2, STARS).astype(np.float32),
            "maybe": pa.array(rng.normal(0, 1, STARS), mask=rng.random(STARS) < 0.05),
            "band": pa.array(np.array(["g", "r", "i"])[rng.integers(0, 3, STARS)]),
            "seen": pa.array(rng.integers(0, 2**40, STARS), pa.timestamp("us")),
            "n": rng.integers(-5, 5, STARS).astype(np.int16),
        }
    )
    of = rng.choice(star, STARS // 4, replace=False).repeat(EPOCHS)
    epochs = pa.table(
        {"star": of, "mjd": rng.uniform(6e4, 6.1e4, len(of)), "flag": rng.random(len(of)) < 0.1}
    )
    kinds = {"star": "long", "ra": "double", "dec": "double", "mag": "float", "maybe": "double"}
    kinds |= {"band": "string", "seen": "timestamp", "n": "short"}
    models = (
        (model_of("Star", kinds, key=("star",), ra="ra", dec="dec"), stars),
        (
            model_of(
                "Epoch",
                {"star": "long", "mjd": "double", "flag": "boolean"},
                indexes=("star",),
            ),
            epochs,
        ),
    )
    few = pa.table({"id": star[::97], "x": lon[::97], "y": lat[::97]})
    upload = QueryTable(
        "TAP_UPLOAD",
        model_of("u", {"id": "long", "x": "double", "y": "double"}, ra="x", dec="y"),
        few,
    )
    engine = DuckDBEngine([folder], Limits("500MB", 2, None))
    yield Sky(
        engine,
        Catalogue((*(written(folder, m, rows) for m, rows in models), upload)),
        Catalogue((*(QueryTable("sky", m, rows) for m, rows in models), upload)),
        folder,
    )
    engine.close()
