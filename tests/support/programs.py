"""Make sure that the programs which tests use, and PyPI lacks, are there: Chromium and STILTS.

Run by ``make test``. On Debian as root it installs what is missing; elsewhere it says what is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NEEDED = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "stilts": ("stilts",)}


def main() -> int:
    """Install what is missing, or name it; 0 when everything is there."""
    missing = [package for package, names in NEEDED.items() if not any(map(shutil.which, names))]
    if not missing:
        return 0
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(
            f"The tests need {' and '.join(missing)}: install with your system's packages.",
            file=sys.stderr,
        )
        return 1
    print(f"==> Installing {' and '.join(missing)} for the tests", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"'{' '.join(command)}' failed:\n{done.stderr}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
