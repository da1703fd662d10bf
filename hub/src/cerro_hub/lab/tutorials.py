"""Copies the tutorials into a user's folder, keeping what the user has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

RECORD = ".cerro-tutorials.json"
SKIPPED = {"__pycache__", ".ipynb_checkpoints"}


def copy_tutorials(source: Path, target: Path) -> list[str]:
    """Bring a user's copy of the tutorials up to date.

    A file that the user has changed stays as it is; one that they have deleted comes back.

    Parameters
    ----------
    source : Path
        The tutorials.
    target : Path
        The user's copy.

    Returns
    -------
    list of str
        The files written, relative to `target`.

    Raises
    ------
    OSError
        A file cannot be read or written.
    """
    if not source.is_dir():
        return []
    target.mkdir(parents=True, exist_ok=True)
    record_file = target / RECORD
    try:
        record: dict[str, str] = json.loads(record_file.read_text())
    except (FileNotFoundError, ValueError):
        record = {}
    written = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = str(path.relative_to(source))
        if SKIPPED & set(Path(name).parts):
            continue
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        copy = target / name
        if copy.exists():
            have = hashlib.sha256(copy.read_bytes()).hexdigest()
            if have == digest or have != record.get(name):
                continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        new = copy.with_name(f".{copy.name}.new")
        new.write_bytes(content)
        new.replace(copy)
        record[name] = digest
        written.append(name)
    if written:
        record_file.write_text(json.dumps(record, indent=1))
    return written
