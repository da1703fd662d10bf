"""What the tests of releases share: small schemas, small tables, and the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from tests.support.trial import trial

from cerro_services.release import ReleaseStore
from cerro_services.release.cli import release

SURVEY = """\
name: survey
description: A small survey.
tables:
- name: Object
  description: Things on the sky.
  tap:table_index: 1
  primaryKey: '#Object.objectId'
  columns:
  - name: objectId
    datatype: long
    description: Identifier.
    ivoa:ucd: meta.id;meta.main
    nullable: false
    tap:principal: 1
  - name: ra
    datatype: double
    ivoa:ucd: pos.eq.ra;meta.main
    ivoa:unit: deg
    nullable: false
  - name: dec
    datatype: double
    ivoa:ucd: pos.eq.dec;meta.main
    ivoa:unit: deg
    nullable: false
  - name: flux
    datatype: float
    ivoa:unit: nJy
  - name: band
    datatype: string
    length: 2
- name: Source
  description: What was detected.
  tap:table_index: 2
  primaryKey: '#Source.sourceId'
  constraints:
  - name: fk_Source_Object
    '@type': ForeignKey
    columns: ['#Source.objectId']
    referencedColumns: ['#Object.objectId']
  columns:
  - {name: sourceId, datatype: long, nullable: false}
  - {name: objectId, datatype: long}
  - {name: coord_ra, datatype: double, 'ivoa:ucd': pos.eq.ra;meta.main, 'ivoa:unit': deg}
  - {name: coord_dec, datatype: double, 'ivoa:ucd': pos.eq.dec;meta.main, 'ivoa:unit': deg}
- name: Visit
  description: Exposures.
  primaryKey: '#Visit.visit'
  columns:
  - {name: visit, datatype: long, nullable: false}
  - {name: begin, datatype: timestamp}
"""


def only(table: str) -> str:
    """Cut the survey's schema down to one table."""
    head, *tables = SURVEY.split("- name: ")
    starts = {"Object", "Source", "Visit"}
    kept, taking = [], False
    for part in tables:
        name = part.split("\n", 1)[0].strip()
        taking = name == table if name in starts else taking
        if taking:
            kept.append("- name: " + part)
    return head + "".join(kept)


def objects(count: int, seed: int = 1) -> pa.Table:
    """Make objects all over the sky, in no order."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "objectId": pa.array(rng.permutation(count).astype(np.int64) + 1),
            "ra": rng.uniform(0, 360, count),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, count))),
            "flux": rng.lognormal(3, 1, count).astype(np.float32),
            "band": pa.array(np.array(["g", "r", "i"])[rng.integers(0, 3, count)]),
        }
    )


def sources(count: int, of: int) -> pa.Table:
    """Make detections of objects, near the north pole."""
    rng = np.random.default_rng(2)
    return pa.table(
        {
            "sourceId": np.arange(count, dtype=np.int64),
            "objectId": rng.integers(1, of + 1, count),
            "coord_ra": rng.uniform(0, 360, count),
            "coord_dec": rng.uniform(89, 90, count),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    """Give an empty store."""
    return ReleaseStore(tmp_path / "releases")


Run = Callable[..., Result]


@pytest.fixture
def run(store: ReleaseStore, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``cerro release …`` on the store."""
    monkeypatch.setenv("CERRO_RELEASES", str(store.root))

    def command(*arguments: str | Path, ok: bool = True) -> Result:
        result = CliRunner().invoke(release, [str(a) for a in arguments])
        if ok:
            assert result.exit_code == 0, result.output
        else:
            assert result.exit_code != 0, result.output
            assert "Traceback" not in result.output
            assert isinstance(result.exception, SystemExit)
        return result

    return command


@pytest.fixture
def schema_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a schema to a file."""

    def write(text: str = SURVEY) -> Path:
        path = tmp_path / "schema.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="session")
def trial_data() -> Path:
    """Find the trial data beside the repository."""
    return trial()
