"""Run the measurements named on the command line (all by default) and write what they found.

Each module of this package has ``run(workdir: Path) -> dict[str, float | str]``: it may use a
scratch folder of its own, and gives figures, whose keys name them with their units. They go to
``bench/results/<name>.json`` and, as one table, to standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import bench

RESULTS = Path(__file__).parent / "results"


def names() -> list[str]:
    """Name every measurement there is."""
    return sorted(
        m.name for m in pkgutil.iter_modules(bench.__path__) if not m.name.startswith("_")
    )


def measure(name: str) -> dict[str, float | str]:
    """Run one measurement in a scratch folder of its own and keep its figures.

    Parameters
    ----------
    name
        A module of this package.
    """
    module = importlib.import_module(f"bench.{name}")
    load = os.getloadavg()[0]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"cerro-bench-{name}-") as scratch:
        figures: dict[str, float | str] = module.run(Path(scratch))
    machine = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load before {load:.1f}",
        "took_s": round(time.perf_counter() - start, 1),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps({**machine, "figures": figures}, indent=2) + "\n"
    )
    return figures


def main(arguments: list[str]) -> int:
    """Run the measurements and print a Markdown table of each."""
    known = names()
    if unknown := sorted(set(arguments) - set(known)):
        print(
            f"No measurement is called {', '.join(unknown)}; there are: {', '.join(known)}.",
            file=sys.stderr,
        )
        return 2
    for name in arguments or known:
        print(f"\n## {name}\n", flush=True)
        figures = measure(name)
        width = max(map(len, figures), default=1)
        print(f"| {'figure':{width}} | value |\n|{'-' * (width + 2)}|-------|")
        for key, value in figures.items():
            print(
                f"| {key:{width}} | {value:.4g} |"
                if isinstance(value, float)
                else f"| {key:{width}} | {value} |"
            )
    print(f"\nWritten to {RESULTS}/")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
