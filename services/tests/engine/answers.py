"""Writes answers.json with DuckDB's answers: ``python -m services.tests.engine.answers``.

Look at what changed before it is committed, and ask Spark (`tests/support/spark.sh`) whether it
agrees: an answer is right when two engines give it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from services.tests import conftest
from services.tests.sky import sky

from cerro_services.engine import DuckDBEngine, Limits
from cerro_services.errors import CerroError
from cerro_services.tap.tapschema import view

from . import conformance


class _Folders:
    """Stands in for pytest's factory of folders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def mktemp(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir()
        return folder


def main() -> None:
    """Ask DuckDB all queries and write down what it says."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = sky()
        store = conftest.store.__wrapped__(_Folders(Path(scratch)), rows)
        catalogue = view(store.published(), frozenset()).catalogue
        engine = DuckDBEngine([store.root], Limits("1GB", 2))
        ask = conformance.asker(engine, conformance.with_places(catalogue, rows))
        found: dict[str, Any] = {}
        for case in conformance.cases():
            try:
                found[case.name] = conformance.summary(ask(case.adql), ordered=case.ordered)
            except CerroError as error:
                raise SystemExit(f"{case.name}: {case.adql}\n{error}") from error
        lines = [f"  {json.dumps(name)}: {json.dumps(found[name])}" for name in found]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        conformance.ANSWERS.write_text(text, encoding="utf-8")
        engine.close()


if __name__ == "__main__":
    main()
