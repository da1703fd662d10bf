"""The rules of the house that no linter knows, run by `make lint` and tests/test_repository.py.

Each rule is a generator of complaints ``path: what is wrong``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Built from pieces so that this file does not name what it forbids.
REGISTRIES = re.compile(
    "|".join(
        (
            "pypi" + r"\.org",
            "python" + "hosted",
            "npm" + r"js\.",
            "yarn" + r"pkg\.",
            r"deb\.deb" + "ian",
        )
    )
)
MARKER = re.compile(r'pytest\.mark\.req\(\s*((?:"[A-Z]+(?:-[A-Z]+)*-\d+"\s*,?\s*)+)\)')
LARGEST = 1_500_000


def tracked() -> list[Path]:
    """List the files of the working tree that git tracks, and the new ones it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [path for line in output.splitlines() if (path := ROOT / line).is_file()]


def requirements() -> dict[str, str]:
    """Read ``docs/requirements.yaml`` as one mapping of id to text."""
    areas: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "docs/requirements.yaml").read_text())
    return {key: text for area in areas.values() for key, text in area.items()}


def requirements_named_by_tests() -> dict[str, list[Path]]:
    """Map each requirement id that a test names to the files that name it."""
    named: dict[str, list[Path]] = {}
    for path in tracked():
        if path.suffix == ".py" and "tests" in path.parts:
            for match in MARKER.finditer(path.read_text()):
                for key in re.findall(r'"([^"]+)"', match.group(1)):
                    named.setdefault(key, []).append(path)
    return named


def no_registry_is_named() -> Iterator[str]:
    """Committed files must install through whatever index the machine is set up with."""
    for path in tracked():
        if path.stat().st_size < LARGEST and REGISTRIES.search(path.read_text(errors="ignore")):
            yield f"{path.relative_to(ROOT)}: names a package registry's host"


def locks_have_hashes() -> Iterator[str]:
    """Every pinned requirement carries a hash; every npm package its integrity, and no address."""
    for lock in ROOT.glob("requirements*.lock"):
        pins = re.split(r"\n(?=\S)", lock.read_text())
        for pin in pins:
            if "==" in pin and "--hash=" not in pin:
                yield f"{lock.name}: {pin.split()[0]} has no hash"
    for lock in (p for p in tracked() if p.name == "package-lock.json"):
        packages: dict[str, dict[str, str]] = json.loads(lock.read_text())["packages"]
        for name, entry in packages.items():
            if name and not entry.get("link") and "integrity" not in entry:
                yield f"{lock.relative_to(ROOT)}: {name} has no integrity"
            if "resolved" in entry:
                yield f"{lock.relative_to(ROOT)}: {name} names an address"


def notebooks_have_no_outputs() -> Iterator[str]:
    """Notebooks are stored as they are opened: nothing run."""
    for path in tracked():
        if path.suffix == ".ipynb":
            for number, cell in enumerate(json.loads(path.read_text())["cells"], 1):
                if cell.get("outputs") or cell.get("execution_count"):
                    yield f"{path.relative_to(ROOT)}: cell {number} has an output"


def nothing_is_large() -> Iterator[str]:
    """Data are made, not committed."""
    for path in tracked():
        if path.stat().st_size > LARGEST:
            yield f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB"


def requirements_and_tests_agree() -> Iterator[str]:
    """Each id that a test names exists, and each requirement has a test."""
    wanted, named = requirements(), requirements_named_by_tests()
    for key in sorted(named.keys() - wanted.keys()):
        yield f"{named[key][0].relative_to(ROOT)}: {key} is not in docs/requirements.yaml"
    for key in sorted(wanted.keys() - named.keys()):
        yield f"docs/requirements.yaml: no test names {key} ({wanted[key]})"


RULES = (
    no_registry_is_named,
    locks_have_hashes,
    notebooks_have_no_outputs,
    nothing_is_large,
    requirements_and_tests_agree,
)


def main() -> int:
    """Print every complaint; 1 when there is one."""
    complaints = [complaint for rule in RULES for complaint in rule()]
    print("\n".join(complaints) or "The rules of the house hold.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
