"""The queries of Rubin's tutorials for Data Preview 1, against a release with its data model."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import pytest
from astropy.io.votable import parse

from tests.conformance.conftest import Archive
from tests.conformance.survey import FIELD

TABLES = re.compile(r"\b(?:FROM|JOIN)\s+([\w.]+)", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def filled(query: str) -> str:
    """Put values where a notebook would put those of its variables."""

    def value(match: re.Match[str]) -> str:
        name = match.group().strip("{}").lower()
        before, after = query[: match.start()], query[match.end() :]
        if re.match(r"_\w", after) or "band" in name or "filt" in name:
            return "r"
        if re.search(r"\bIN\s*$", before, re.IGNORECASE):
            return "(1, 2, 3)"
        if re.search(r"\n\s*$", before) and re.match(r"\s*(\n|$)", after):
            return ""  # A whole clause, which may as well be none.
        if "dec" in name:
            return str(FIELD[1])
        if re.search(r"\bra\b|_ra|ra_|center|cen\b", name):
            return f"{FIELD[0]}, {FIELD[1]}" if "center_coords" in name else str(FIELD[0])
        return "0.3" if "rad" in name else "1"

    return PLACEHOLDER.sub(value, query)


def queries(folder: Path) -> list[str]:
    """Give those that name tables of DP1 and TAP_SCHEMA only, and are no Python."""
    entries = json.loads((folder / "tutorials/rubin_tutorial_adql_queries.json").read_text())
    found = []
    for entry in entries:
        schemas = {name.split(".")[0].lower() for name in TABLES.findall(entry["query"])}
        begins = re.match(r"\s*(SELECT|WITH)\b", entry["query"], re.IGNORECASE)
        if begins and schemas and schemas <= {"dp1", "tap_schema"}:
            found.append(filled(entry["query"]))
    return list(dict.fromkeys(found))


@pytest.mark.req("VO-3")
def test_every_query_of_the_tutorials_is_answered(archive: Archive, trial_data: Path) -> None:
    asked = queries(trial_data)
    assert len(asked) > 100
    headers = {"Authorization": f"Bearer {archive.token}"}
    failed = []
    with httpx.Client(base_url=archive.tap, headers=headers, timeout=60) as client:
        for query in asked:
            answer = client.post("sync", data={"QUERY": query, "LANG": "ADQL", "MAXREC": "50"})
            if answer.status_code != 200:
                infos = parse(io.BytesIO(answer.content)).resources[0].infos
                failed.append((query, infos[0].content))
            else:
                assert parse(io.BytesIO(answer.content)).get_first_table() is not None
    assert failed == []
