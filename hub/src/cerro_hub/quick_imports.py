"""Keeps a slow import, which nothing here needs, out of processes that must start fast."""

from __future__ import annotations

import sys


def skip_iri_grammar() -> None:
    """Let jsonschema do without its check of internationalised addresses (the format "iri").

    JupyterHub and Jupyter Server validate their events with jsonschema, which imports
    rfc3987_syntax if it is installed; that compiles a grammar for 0.8 s at every start, twice as
    long as the rest of Jupyter Server's imports. No event schema has a field of that format.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
