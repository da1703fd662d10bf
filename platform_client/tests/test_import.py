"""``import cerro`` costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"astropy", "numpy", "pandas", "pyarrow", "pyvo", "requests", "rich", "click"}


@pytest.mark.req("CLI-6")
def test_import_loads_no_heavy_library() -> None:
    code = "import sys, cerro; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.req("CLI-6")
def test_names_are_there_before_they_are_loaded() -> None:
    import cerro

    assert {"query", "tap", "releases", "tables", "errors"} <= set(dir(cerro))
    assert cerro.query.__module__ == "cerro.catalogue"
    with pytest.raises(AttributeError, match="no attribute 'qurey'"):
        cerro.qurey  # noqa: B018
